import { z } from 'zod';
import { sequence, text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../imaging/dicom/header.js';
import { readSeg } from '../../imaging/report/seg-reader.js';
import { AppError } from '../../kernel/errors.js';
import { CommandError } from '../failure.js';
import type { Caller } from './caller.js';
import type { PhantomStudy } from './phantoms.js';

const SR_CLASSES = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.\d+$/;
const SEG_CLASSES = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.[47]$/;

const searchSchema = z.array(z.record(z.string(), z.looseObject({ Value: z.array(z.unknown()).optional() })));

export interface DerivedCount {
  reports: number;
  segmentations: number;
}

/**
 * Retrieves every SR and SEG of a study by WADO-RS, and looks whether it is of this patient and study, refers to the images that were sent, and has their size.
 *
 * @throws CommandError `derived-object-wrong` with what is wrong
 */
export async function checkDerived(caller: Caller, study: PhantomStudy, patientId: string): Promise<DerivedCount> {
  const found = await caller.json(`/dicom-web/studies/${study.studyInstanceUid}/instances?limit=5000`, searchSchema, { scope: 'images:read', headers: { accept: 'application/dicom+json' } });
  const count: DerivedCount = { reports: 0, segmentations: 0 };
  const objects = found.map((row) => {
    // The DICOM JSON model, whose form was looked at.
    const attributes = row as unknown as DicomJson;
    return { sopClassUid: text(attributes, 'SOPClassUID') ?? '', sopInstanceUid: text(attributes, 'SOPInstanceUID') ?? '', seriesInstanceUid: text(attributes, 'SeriesInstanceUID') ?? '' };
  });
  const known = new Set(objects.map(({ sopInstanceUid }) => sopInstanceUid));
  for (const { sopClassUid, sopInstanceUid, seriesInstanceUid } of objects) {
    const isReport = SR_CLASSES.test(sopClassUid);
    if (!isReport && !SEG_CLASSES.test(sopClassUid)) continue;
    const { bytes } = await caller.call(`/dicom-web/studies/${study.studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`, { scope: 'images:read', headers: { accept: 'application/dicom' } });
    const fault = faultOf(bytes, study, patientId, known, isReport);
    if (fault !== undefined) throw new CommandError('derived-object-wrong', `The ${isReport ? 'SR' : 'SEG'} ${sopInstanceUid} ${fault}.`);
    count[isReport ? 'reports' : 'segmentations']++;
  }
  return count;
}

/** What follows "The SR …"; undefined when nothing is wrong. */
export function faultOf(bytes: Uint8Array, study: PhantomStudy, patientId: string, known: ReadonlySet<string>, isReport: boolean): string | undefined {
  try {
    const { attributes, studyInstanceUid } = parseInstanceBytes(bytes);
    if (studyInstanceUid !== study.studyInstanceUid) return 'belongs to another study';
    if (text(attributes, 'PatientID') !== patientId) return 'is of another patient';
    return isReport ? reportFault(attributes, study, known) : segmentationFault(bytes, study);
  } catch (error) {
    if (error instanceof AppError) return `cannot be read (${error.code})`;
    throw error;
  }
}

function reportFault(attributes: DicomJson, study: PhantomStudy, known: ReadonlySet<string>): string | undefined {
  const evidence = sequence(attributes, 'CurrentRequestedProcedureEvidenceSequence');
  if (evidence.length === 0) return 'names no image that it was made from';
  if (evidence.some((item) => text(item, 'StudyInstanceUID') !== study.studyInstanceUid)) return 'refers to another study';
  const named = evidence.flatMap((item) => sequence(item, 'ReferencedSeriesSequence')).flatMap((series) => sequence(series, 'ReferencedSOPSequence')).map((reference) => text(reference, 'ReferencedSOPInstanceUID') ?? '');
  if (named.some((uid) => !known.has(uid))) return 'refers to an object that the study does not have';
  return sequence(attributes, 'ContentSequence').length === 0 ? 'says nothing' : undefined;
}

function segmentationFault(bytes: Uint8Array, study: PhantomStudy): string | undefined {
  const seg = readSeg(bytes);
  if (seg.columns !== study.columns || seg.rows !== study.rows) return `has ${String(seg.columns)} × ${String(seg.rows)} pixels, the images ${String(study.columns)} × ${String(study.rows)}`;
  const sent = new Set(study.objects.map(({ sopInstanceUid }) => sopInstanceUid));
  if (seg.frames.some(({ source }) => source === undefined || !sent.has(source.sopInstanceUid))) return 'has a frame that refers to no image of the study';
  return seg.pixels.every((byte) => byte === 0) ? 'marks nothing' : undefined;
}
