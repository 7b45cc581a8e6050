import { z } from 'zod';
import { text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { isDicomUidAsFound } from '../../kernel/uid.js';
import { pageQuery, pageSchema } from '../../platform/http/page.js';
import type { ListedStudyRow, SeriesRow, StudyRow } from './studies.store.js';
import type { OpenedStudy } from './study-attributes.js';

export const uidParameter = z.string().refine(isDicomUidAsFound, 'must be a DICOM UID').meta({ description: 'DICOM UID', example: '1.2.840.113619.2.55.1' });

const dicomDate = (description: string): z.ZodOptional<z.ZodPipe<z.ZodISODate, z.ZodTransform<string, string>>> =>
  z.iso.date().transform((date) => date.replaceAll('-', '')).optional().meta({ description, example: '2026-11-21' });

export const studyQuery = z.strictObject({
  ...pageQuery.shape,
  patientResourceId: z.uuid().optional().meta({ description: 'Studies of this patient', example: '0198c0de-0000-7000-8000-00000000000a' }),
  patientId: z.string().max(64).optional().meta({ description: 'Exactly this Patient ID', example: 'P-1024' }),
  accessionNumber: z.string().max(64).optional().meta({ description: 'Exactly this Accession Number', example: 'A-77' }),
  modality: z.string().max(16).optional().meta({ description: 'Studies that have a series of this modality', example: 'CT' }),
  studyDateFrom: dicomDate('Study Date, inclusive'),
  studyDateTo: dicomDate('Study Date, inclusive'),
  state: z.enum(['receiving', 'complete']).optional().meta({ example: 'complete' }),
});
export type StudyQuery = z.output<typeof studyQuery>;

const receiptSchema = z
  .object({
    reason: z.enum(['timer', 'expected-count', 'explicit']).meta({ description: '`timer`: nothing new came for SETTLE_SECONDS; `expected-count`: all that the sender announced is there; `explicit`: somebody said so' }),
    at: z.iso.datetime(),
    revision: z.number().int(),
    instances: z.number().int(),
    expectedInstances: z.number().int().optional().meta({ description: 'What the sender announced for the study (0020,1208)' }),
    expectedSeries: z.number().int().optional().meta({ description: 'What the sender announced for the study (0020,1206)' }),
    lateInstances: z.number().int().optional().meta({ description: 'Instances that came when the study had been complete before: the reason of this revision' }),
    series: z.array(z.object({
      seriesInstanceUid: z.string(),
      instances: z.number().int(),
      expected: z.number().int().optional().meta({ description: 'What the sender announced (0020,1209)' }),
      missingInstanceNumbers: z.array(z.number().int()).optional().meta({ description: 'Gaps between the smallest and the largest Instance Number, the first hundred' }),
      missingSlices: z.array(z.object({
        afterMm: z.number().meta({ description: 'Position along the normal of the slices, in mm' }),
        missing: z.number().int(),
      })).optional().meta({ description: 'Steps between neighbouring slices of more than 1.5 times the median, the first hundred' }),
    })),
  })
  .meta({ id: 'CompletionReceipt', description: 'Why the study counts as complete and what was there' });

const studyFields = {
  id: z.uuid(),
  studyInstanceUid: z.string(),
  patientResourceId: z.uuid().nullable().meta({ description: 'Id of the patient under `/patients`; null for a study without Patient ID' }),
  patientId: z.string().nullable(),
  patientName: z.string().nullable(),
  patientBirthDate: z.string().nullable().meta({ description: 'YYYY-MM-DD; as it came when it is no date' }),
  patientSex: z.string().nullable(),
  studyDate: z.string().nullable().meta({ description: 'YYYY-MM-DD; as it came when it is no date' }),
  studyTime: z.string().nullable().meta({ description: 'DICOM TM' }),
  accessionNumber: z.string().nullable(),
  studyDescription: z.string().nullable(),
  modalities: z.array(z.string()),
  seriesCount: z.number().int(),
  instanceCount: z.number().int(),
  sizeBytes: z.number().int(),
  state: z.enum(['receiving', 'complete']),
  revision: z.number().int().meta({ description: 'How often the study became complete' }),
  completion: receiptSchema.nullable().meta({ description: 'Of the last time it became complete' }),
  lateInstances: z.number().int().meta({ description: 'Instances that came since then' }),
  legalHold: z.boolean().meta({ description: 'Neither retention nor a deletion removes the study' }),
  lastInstanceAt: z.iso.datetime(),
  completedAt: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
};

const studySchema = z.object(studyFields).meta({ id: 'Study' });
const seriesSchema = z
  .object({
    seriesInstanceUid: z.string(),
    modality: z.string().nullable(),
    bodyPart: z.string().nullable(),
    viewPosition: z.string().nullable(),
    seriesNumber: z.number().int().nullable(),
    seriesDescription: z.string().nullable(),
    instanceCount: z.number().int(),
  })
  .meta({ id: 'Series' });

export const studyPageSchema = pageSchema(studySchema, 'StudyPage');
export const studyDetailSchema = z
  .object({
    ...studyFields,
    earlierCompletions: z.array(receiptSchema).meta({ description: 'Of the times before the last, oldest first' }),
    series: z.array(seriesSchema),
  })
  .meta({ id: 'StudyDetail' });
export type StudyJson = z.infer<typeof studySchema>;
export type StudyDetailJson = z.infer<typeof studyDetailSchema>;

export const updateStudy = z.strictObject({ legalHold: z.boolean().meta({ description: 'true: nobody deletes the study, and retention passes it over' }) }).meta({ id: 'UpdateStudy', example: { legalHold: true } });
export type UpdateStudy = z.output<typeof updateStudy>;

export const studyExample: StudyJson = {
  id: '0198c0de-0000-7000-8000-000000000001', studyInstanceUid: '1.2.840.113619.2.55.1', patientResourceId: '0198c0de-0000-7000-8000-00000000000a', patientId: 'P-1024', patientName: 'Example^Eve', patientBirthDate: '1972-03-04', patientSex: 'F',
  studyDate: '2026-11-21', studyTime: '101500', accessionNumber: 'A-77', studyDescription: 'Chest PA', modalities: ['DX'], seriesCount: 1, instanceCount: 1, sizeBytes: 8_400_000, state: 'complete', revision: 1,
  completion: { reason: 'timer', at: '2026-11-21T10:16:00.000Z', revision: 1, instances: 1, series: [{ seriesInstanceUid: '1.2.840.113619.2.55.1.1', instances: 1 }] },
  lateInstances: 0, legalHold: false, lastInstanceAt: '2026-11-21T10:15:30.000Z', completedAt: '2026-11-21T10:16:00.000Z', createdAt: '2026-11-21T10:15:30.000Z',
};

export const studyDetailExample: StudyDetailJson = {
  ...studyExample, earlierCompletions: [],
  series: [{ seriesInstanceUid: '1.2.840.113619.2.55.1.1', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA', seriesNumber: 1, seriesDescription: 'Chest PA', instanceCount: 1 }],
};

/** @param attributes  of the study; undefined when they cannot be read any more */
export function studyJson(row: ListedStudyRow, attributes: DicomJson = {}): StudyJson {
  const { id, studyInstanceUid, studyTime, modalities, seriesCount, instanceCount, revision, lateInstances, legalHold } = row;
  return {
    id, studyInstanceUid, patientResourceId: row.patientId,
    patientId: word(attributes, 'PatientID'), patientName: word(attributes, 'PatientName'), patientBirthDate: isoDate(word(attributes, 'PatientBirthDate')), patientSex: word(attributes, 'PatientSex'),
    studyDate: isoDate(row.studyDate), studyTime, accessionNumber: word(attributes, 'AccessionNumber'), studyDescription: word(attributes, 'StudyDescription'),
    modalities, seriesCount, instanceCount,
    sizeBytes: Number(row.sizeBytes),
    state: row.state === 'complete' ? 'complete' : 'receiving',
    revision,
    // Written by the settling out of a CompletionReceipt.
    completion: row.completion as StudyJson['completion'],
    lateInstances, legalHold,
    lastInstanceAt: row.lastInstanceAt.toISOString(),
    completedAt: row.completedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  };
}

/** @param opened  null when the attributes cannot be read any more */
export function studyDetailJson(row: StudyRow, series: readonly SeriesRow[], opened: OpenedStudy | null): StudyDetailJson {
  return {
    ...studyJson(row, opened?.study),
    // Receipts that were once in `completion`.
    earlierCompletions: row.earlierCompletions as StudyDetailJson['earlierCompletions'],
    series: series.map(({ id, seriesInstanceUid, modality, bodyPart, viewPosition, seriesNumber, instanceCount }) => ({
      seriesInstanceUid, modality, bodyPart, viewPosition, seriesNumber, seriesDescription: word(opened?.series.get(id) ?? {}, 'SeriesDescription'), instanceCount,
    })),
  };
}

/** Every change of the study, a legal hold included, moves `updatedAt`. */
export function studyETag({ revision, updatedAt }: StudyRow): string {
  return `"${String(revision)}-${updatedAt.getTime().toString(36)}"`;
}

export function word(attributes: DicomJson, keyword: string): string | null {
  const value = text(attributes, keyword);
  return value === undefined || value === '' ? null : value;
}

export function isoDate(date: string | null): string | null {
  return date !== null && /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
}
