import { Injectable } from '@nestjs/common';
import type { Resource } from '@medplum/fhirtypes';
import { ACCESSION_SYSTEM, fhirImagingStudy, STUDY_UID_SYSTEM } from '../../../imaging/report/fhir/imaging-study.js';
import { fhirPatient, PATIENT_ID_SYSTEM } from '../../../imaging/report/fhir/subject.js';
import { DCM } from '../../../imaging/report/fhir/codes.js';
import { isDicomUidAsFound, isUuid } from '../../../kernel/uid.js';
import { Catalogue, type Alternatives, type CataloguedPatient, type CatalogueFilter } from '../../images/images.contract.js';
import type { FhirCall, FhirResources, Found } from './exchange.js';
import type { FhirSearch, Token } from './search.js';

/** Patients as FHIR has them. */
@Injectable()
export class PatientResources implements FhirResources {
  constructor(private readonly catalogue: Catalogue) {}

  async read(call: FhirCall, id: string): Promise<Resource | undefined> {
    const [patient] = await this.readAll(call, [id]);
    return patient;
  }

  async readAll(call: FhirCall, ids: readonly string[]): Promise<Resource[]> {
    const known = ids.filter(isUuid);
    return known.length === 0 ? [] : this.shown(call, await this.catalogue.patients(call.institutionId, { ids: [known] }, { limit: known.length }));
  }

  /** @param search  without `identifier`: see `resolve` */
  async search(call: FhirCall, search: FhirSearch): Promise<Found> {
    const { count, cursor } = search;
    const rows = await this.catalogue.patients(call.institutionId, { ids: uuids(search.tokens('_id')) }, { limit: count + 1, cursor });
    return { resources: this.shown(call, rows.slice(0, count)), cursor: nextOf(rows, count) };
  }

  /** Patient IDs are for the question only: the links of the answer name ids of ours. */
  async resolve({ institutionId }: FhirCall, search: FhirSearch): Promise<FhirSearch> {
    let resolved = search;
    for (const tokens of search.tokens('identifier')) {
      const codes = tokens.filter(({ system, code }) => (system === undefined || system === PATIENT_ID_SYSTEM) && code !== '').map(({ code }) => code);
      resolved = resolved.withIds(codes.length === 0 ? [] : await this.catalogue.patientsWithIdentifier(institutionId, codes), 'identifier');
    }
    return resolved;
  }

  private shown({ note }: FhirCall, patients: readonly CataloguedPatient[]): Resource[] {
    note({ patientIds: patients.map(({ id }) => id) });
    // One study more, one less, or a change to one makes another version.
    return patients.map(({ id, studyCount, updatedAt, attributes }) => fhirPatient({ id, updatedAt, attributes, versionId: `${String(studyCount)}-${String(updatedAt.getTime())}` }));
  }
}

/** Studies as FHIR has them. */
@Injectable()
export class ImagingStudyResources implements FhirResources {
  constructor(private readonly catalogue: Catalogue) {}

  async read(call: FhirCall, id: string): Promise<Resource | undefined> {
    const [study] = isUuid(id) ? await this.list(call, { ids: [[id]] }, { limit: 1, whole: true }) : [];
    return study;
  }

  async readAll(call: FhirCall, ids: readonly string[]): Promise<Resource[]> {
    const known = ids.filter(isUuid);
    return known.length === 0 ? [] : this.list(call, { ids: [known] }, { limit: known.length });
  }

  /** @param search  with Study Instance UIDs for identifiers: see `resolve` */
  async search(call: FhirCall, search: FhirSearch): Promise<Found> {
    const { count, cursor } = search;
    // Whatever is stored is available.
    if (search.tokens('status').some((some) => !some.some(({ code }) => code === 'available'))) return { resources: [] };
    const resources = await this.list(call, {
      ids: uuids(search.tokens('_id')),
      studyInstanceUids: search.tokens('identifier').map((some) => some.flatMap((token) => studyUidOf(token) ?? [])),
      patientIds: search.references('Patient', 'patient', 'subject').map((some) => some.filter(isUuid)),
      modalities: search.tokens('modality').map((some) => some.filter(({ system }) => system === undefined || system === DCM).map(({ code }) => code)),
      studyDates: search.days('started'),
      updatedAt: search.instants('_lastUpdated'),
    }, { limit: count + 1, cursor, shown: count });
    return { resources: resources.slice(0, count), cursor: resources.length > count ? resources[count - 1]?.id : undefined };
  }

  /** Accession Numbers are for the question only: the links of the answer name ids of ours. */
  async resolve({ institutionId }: FhirCall, search: FhirSearch): Promise<FhirSearch> {
    const asked = search.tokens('identifier');
    if (asked.every((some) => some.every((token) => studyUidOf(token) !== undefined))) return search;
    let resolved = search;
    for (const tokens of asked) {
      const uids = tokens.flatMap((token) => studyUidOf(token) ?? []);
      const numbers = tokens.filter((token) => studyUidOf(token) === undefined && (token.system === undefined || token.system === ACCESSION_SYSTEM) && token.code !== '').map(({ code }) => code);
      const byUid = uids.length === 0 ? [] : await this.catalogue.studies(institutionId, { studyInstanceUids: [uids] }, { limit: uids.length });
      const byNumber = numbers.length === 0 ? [] : await this.catalogue.studiesWithAccession(institutionId, numbers);
      resolved = resolved.withIds([...new Set([...byUid.map(({ id }) => id), ...byNumber])], 'identifier');
    }
    return resolved;
  }

  /** @param page  `whole`: with every instance; `shown`: how many of them are put on record, where one more is read to see whether there is one */
  private async list({ institutionId, base, note }: FhirCall, filter: CatalogueFilter, { whole = false, shown, ...page }: { limit: number; cursor?: string | undefined; whole?: boolean; shown?: number }): Promise<Resource[]> {
    const studies = await this.catalogue.studies(institutionId, filter, page);
    note({ studyInstanceUids: studies.slice(0, shown).map(({ studyInstanceUid }) => studyInstanceUid) });
    const series = await this.catalogue.seriesOf(institutionId, studies.map(({ id }) => id), whole);
    return studies.map((study) => fhirImagingStudy({ ...study, series: series.get(study.id) ?? [] }, base, whole));
  }
}

/** `urn:dicom:uid|urn:oid:1.2.3`, and what is plainly a UID. */
function studyUidOf({ system, code }: Token): string | undefined {
  const uid = code.replace(/^urn:oid:/, '');
  if (system !== undefined && system !== STUDY_UID_SYSTEM) return undefined;
  // A number with a dot could be an Accession Number, but hardly one of that length.
  return isDicomUidAsFound(uid) && (system !== undefined || uid !== code || uid.length > 16) ? uid : undefined;
}

function uuids(tokens: readonly Token[][]): Alternatives<string> {
  return tokens.map((some) => some.map(({ code }) => code).filter(isUuid));
}

function nextOf(rows: readonly { id: string }[], count: number): string | undefined {
  return rows.length > count ? rows[count - 1]?.id : undefined;
}
