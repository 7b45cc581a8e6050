import { sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { derivedDicomUid } from '../../../kernel/uid.js';
import { dataSetOf, type Fields } from '../data-set.js';
import { dateAndTime, derivedHeader, MANUFACTURER } from '../derived-header.js';
import type { DerivedSource } from '../derived.js';
import { descriptionText, nameText } from '../element-text.js';
import { PRIVATE_SCHEME } from './concepts.js';
import { codeItem, type InstanceReference } from './content.js';
import type { SegReference } from './groups.js';

export const COMPREHENSIVE_3D_SR = '1.2.840.10008.5.1.4.1.1.88.34';
/** Behind what scanners number. */
const SERIES_NUMBER = 9002;

/** UIDs of a result's report: one series, an instance for every version. */
export function srIdentity({ resultId, version }: Pick<DerivedSource, 'resultId' | 'version'>): SegReference {
  return { sopClassUid: COMPREHENSIVE_3D_SR, seriesInstanceUid: derivedDicomUid(`${resultId} sr series`), sopInstanceUid: derivedDicomUid(`${resultId} sr instance ${String(version)}`) };
}

/** Everything of the document but its content tree. @see PS3.3 A.35.13 */
export function documentModules(source: DerivedSource, seg: SegReference | null, predecessors: readonly SegReference[]): DicomJson {
  const { verifier } = source;
  const header = derivedHeader(source, srIdentity(source));
  return {
    ...header,
    ...dataSetOf({
      SeriesNumber: SERIES_NUMBER,
      SeriesDescription: descriptionText(`AI report ${source.analysis}`),
      Modality: 'SR',
      ReferencedPerformedProcedureStepSequence: [],
      InstanceNumber: source.version,
      CompletionFlag: 'COMPLETE',
      PreliminaryFlag: verifier === null ? 'PRELIMINARY' : 'FINAL',
      VerificationFlag: verifier === null ? 'UNVERIFIED' : 'VERIFIED',
      VerifyingObserverSequence: verifier === null ? undefined : [verifying(verifier)],
      PredecessorDocumentsSequence: predecessors.length === 0 ? undefined : evidence(source.studyInstanceUid, predecessors),
      PerformedProcedureCodeSequence: procedureCodes(header),
      CurrentRequestedProcedureEvidenceSequence: evidence(source.studyInstanceUid, [...source.instances, ...(seg === null ? [] : [seg])]),
      CodingSchemeIdentificationSequence: [{ CodingSchemeDesignator: PRIVATE_SCHEME, CodingSchemeName: 'HealthVision private codes', CodingSchemeResponsibleOrganization: MANUFACTURER }],
    }),
  };
}

function verifying({ name, organisation, at }: NonNullable<DerivedSource['verifier']>): Fields {
  const { date, time } = dateAndTime(at);
  return {
    VerifyingOrganization: descriptionText(organisation) || 'unknown',
    VerificationDateTime: `${date}${time}+0000`,
    VerifyingObserverName: { Alphabetic: nameText(name) || 'unknown' },
    VerifyingObserverIdentificationCodeSequence: [],
  };
}

/** Codes of the procedure as the source has them, whole ones only. */
export function procedureCodes(attributes: DicomJson): Fields[] {
  return sequence(attributes, 'ProcedureCodeSequence').flatMap((item) => {
    const [value, scheme, meaning] = [text(item, 'CodeValue'), text(item, 'CodingSchemeDesignator'), text(item, 'CodeMeaning')];
    return value && scheme && meaning ? [codeItem({ value, scheme, meaning })] : [];
  });
}

/** Instances by series. @see PS3.3 table C.17-3 */
function evidence(studyInstanceUid: string, instances: readonly (InstanceReference & { seriesInstanceUid: string })[]): Fields[] {
  const series = new Map<string, Map<string, Fields>>();
  for (const { seriesInstanceUid, sopClassUid, sopInstanceUid } of instances) {
    const objects = series.get(seriesInstanceUid) ?? new Map<string, Fields>();
    series.set(seriesInstanceUid, objects.set(sopInstanceUid, { ReferencedSOPClassUID: sopClassUid, ReferencedSOPInstanceUID: sopInstanceUid }));
  }
  if (series.size === 0) return [];
  const bySeries = [...series].map(([seriesInstanceUid, objects]) => ({ ReferencedSOPSequence: [...objects.values()], SeriesInstanceUID: seriesInstanceUid }));
  return [{ ReferencedSeriesSequence: bySeries, StudyInstanceUID: studyInstanceUid }];
}
