import { z } from 'zod';
import { warningSchema } from '../../../imaging/report/warnings.js';
import { pageQuery, pageSchema } from '../../../platform/http/page.js';
import type { StudyHeading } from '../../images/images.contract.js';
import type { ResultLine } from '../../results/results.contract.js';
import { RUN_STATUSES } from '../runs.store.js';
import type { WorklistRun, WorklistStudy } from './worklist.store.js';

export const RESULT_STATUSES = ['preliminary', 'final', 'amended', 'withheld'] as const;

const date = (description: string): z.ZodOptional<z.ZodPipe<z.ZodISODate, z.ZodTransform<string, string>>> =>
  z.iso.date().transform((text) => text.replaceAll('-', '')).optional().meta({ description, example: '2026-11-21' });

export const worklistQuery = z.strictObject({
  ...pageQuery.shape,
  text: z.string().trim().min(1).max(64).optional().meta({ description: 'Beginnings of the words of the patient’s name, in Latin letters or in the patient’s own script, or the beginning of a Patient ID or an accession number', example: 'Exam' }),
  modality: z.string().max(16).optional().meta({ description: 'Studies that have a series of this modality', example: 'CT' }),
  studyDateFrom: date('Study Date, inclusive'),
  studyDateTo: date('Study Date, inclusive'),
  state: z.enum(['receiving', 'complete']).optional().meta({ example: 'complete' }),
  analysisStatus: z.enum(RUN_STATUSES).optional().meta({ description: 'Studies with a run in this state', example: 'running' }),
  resultStatus: z.enum(RESULT_STATUSES).optional().meta({ description: 'Studies with a result in this state', example: 'preliminary' }),
  critical: z.literal('true').transform(() => true).optional().meta({ description: 'Only studies with a critical result', example: 'true' }),
  sort: z.enum(['received', 'study-date']).default('received').meta({ description: '`received`: whatever began to arrive last comes first; `study-date`: latest Study Date first, behind studies without one', example: 'received' }),
});
export type WorklistQuery = z.output<typeof worklistQuery>;

const runSchema = z
  .object({
    id: z.uuid(),
    analysis: z.string(),
    status: z.enum(RUN_STATUSES),
    progress: z.number().min(0).max(1),
    reason: z.string().nullable().meta({ description: 'Code of why it is not analysable, failed or was cancelled' }),
  })
  .meta({ id: 'WorklistRun' });

const resultSchema = z
  .object({
    id: z.uuid(),
    analysisId: z.uuid(),
    analysis: z.string(),
    status: z.enum(RESULT_STATUSES),
    critical: z.boolean(),
    summary: z.string().nullable().meta({ description: 'In the caller’s language; null of a result that is withheld' }),
    warnings: z.array(warningSchema).optional().meta({ description: 'What a reader must know before trusting the result; absent where there is nothing' }),
  })
  .meta({ id: 'WorklistResult' });

const entrySchema = z
  .object({
    id: z.uuid(),
    studyInstanceUid: z.string(),
    readable: z.boolean().meta({ description: 'false when the study’s key was destroyed: who it was about is gone' }),
    patientId: z.string().nullable(),
    patientName: z.string().nullable().meta({ description: 'First component group that the name has' }),
    patientNameIdeographic: z.string().nullable(),
    patientNamePhonetic: z.string().nullable(),
    patientBirthDate: z.string().nullable().meta({ description: 'YYYY-MM-DD; as it came when it is no date' }),
    patientSex: z.string().nullable(),
    accessionNumber: z.string().nullable(),
    studyDescription: z.string().nullable(),
    studyDate: z.string().nullable().meta({ description: 'YYYY-MM-DD; as it came when it is no date' }),
    studyTime: z.string().nullable().meta({ description: 'DICOM TM' }),
    modalities: z.array(z.string()),
    instanceCount: z.int(),
    state: z.enum(['receiving', 'complete']),
    createdAt: z.iso.datetime(),
    lastInstanceAt: z.iso.datetime(),
    critical: z.boolean().meta({ description: 'One of the results is critical, be it an older one; false for callers without `results:read`' }),
    runs: z.array(runSchema).meta({ description: 'The newest of each analysis; empty for callers without `analyses:read`' }),
    results: z.array(resultSchema).meta({ description: 'The newest of each analysis; empty for callers without `results:read`' }),
  })
  .meta({ id: 'WorklistEntry', description: 'A study with how far its analyses are and what they found' });

export const worklistPageSchema = pageSchema(entrySchema, 'WorklistPage');
export type WorklistEntry = z.infer<typeof entrySchema>;

const NOBODY: StudyHeading = { patientId: null, patientName: null, patientNameIdeographic: null, patientNamePhonetic: null, patientBirthDate: null, patientSex: null, accessionNumber: null, studyDescription: null };

/** @param heading  undefined when the study cannot be read any more */
export function worklistEntry(study: WorklistStudy, heading: StudyHeading | undefined, runs: readonly WorklistRun[], results: readonly ResultLine[]): WorklistEntry {
  const { id, studyInstanceUid, studyDate, studyTime, modalities, instanceCount, state, createdAt, lastInstanceAt } = study;
  return {
    id, studyInstanceUid, readable: heading !== undefined, ...(heading ?? NOBODY),
    studyDate: studyDate !== null && /^\d{8}$/.test(studyDate) ? studyDate.replace(/(....)(..)(..)/, '$1-$2-$3') : studyDate,
    studyTime, modalities, instanceCount,
    state: state === 'complete' ? 'complete' : 'receiving',
    createdAt: createdAt.toISOString(), lastInstanceAt: lastInstanceAt.toISOString(),
    critical: study.critical,
    runs: runs.map(({ id: runId, analysis, status, progress, reasonCode }) => ({ id: runId, analysis, status, progress, reason: reasonCode })),
    results: results.map(({ id: resultId, analysisId, analysis, status, critical, summary, warnings }) => ({ id: resultId, analysisId, analysis, status, critical, summary, ...(warnings.length > 0 && { warnings: [...warnings] }) })),
  };
}

export const worklistExample: WorklistEntry = {
  id: '0198c0de-0000-7000-8000-000000000001', studyInstanceUid: '1.2.840.113619.2.55.1', readable: true,
  patientId: 'P-1024', patientName: 'Example^Eve', patientNameIdeographic: null, patientNamePhonetic: null, patientBirthDate: '1972-03-04', patientSex: 'F', accessionNumber: 'A-77', studyDescription: 'Chest PA',
  studyDate: '2026-11-21', studyTime: '101500', modalities: ['DX'], instanceCount: 1, state: 'complete', createdAt: '2026-11-21T10:15:30.000Z', lastInstanceAt: '2026-11-21T10:15:30.000Z', critical: false,
  runs: [{ id: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', analysis: 'chest-xray-classification', status: 'succeeded', progress: 1, reason: null }],
  results: [{ id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49', analysisId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', analysis: 'chest-xray-classification', status: 'preliminary', critical: false, summary: 'Pneumonia 93 %' }],
};
