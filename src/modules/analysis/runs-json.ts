import { z } from 'zod';
import { ANALYSIS_NAMES } from '../../imaging/model/manifest.js';
import { isDicomUidAsFound } from '../../kernel/uid.js';
import { pageQuery, pageSchema } from '../../platform/http/page.js';
import { RUN_STATUSES, type RunRow } from './runs.store.js';

const PRIORITIES = ['stat', 'routine', 'research'] as const;

const uid = z.string().max(64).refine(isDicomUidAsFound, 'must be a DICOM UID').meta({ example: '2.25.314159265358979323846264338327950288' });

export const newAnalysisSchema = z
  .strictObject({
    analysis: z.enum(ANALYSIS_NAMES).meta({ description: 'What to look for', example: 'chest-xray-classification' }),
    studyInstanceUid: uid.meta({ description: 'A stored study; one that is still receiving is analysed as it is' }),
    seriesInstanceUids: z.array(uid).min(1).max(100).optional().meta({ description: 'Look at these series only' }),
    model: z.string().regex(/^[a-z0-9][a-z0-9-]*(@[0-9A-Za-z.+-]+)?$/, 'must be name or name@version').max(100).optional().meta({ description: 'Default: the active model that fits the study', example: 'chest-xray-pneumonia@1.0.0' }),
    priority: z.enum(PRIORITIES).default('routine').meta({ description: '`stat` overtakes `routine`, which overtakes `research`', example: 'routine' }),
  })
  .meta({ id: 'NewAnalysis' });
export type NewAnalysis = z.infer<typeof newAnalysisSchema>;

export const analysisSchema = z
  .object({
    id: z.uuid(),
    analysis: z.string(),
    studyInstanceUid: z.string(),
    status: z.enum(RUN_STATUSES),
    priority: z.enum(PRIORITIES),
    progress: z.number().min(0).max(1),
    stage: z.string().meta({ description: 'queued, read, load, decode, prepare, infer, conclude, store, done' }),
    model: z.object({ name: z.string(), version: z.string(), digest: z.string() }),
    createdAt: z.string().meta({ format: 'date-time' }),
    startedAt: z.string().optional().meta({ format: 'date-time' }),
    finishedAt: z.string().optional().meta({ format: 'date-time' }),
    timings: z.record(z.string(), z.number()).meta({ description: 'Milliseconds per stage' }),
    resultId: z.uuid().optional(),
    resultRemovedAt: z.string().optional().meta({ format: 'date-time', description: 'When the institution’s retention took the result' }),
    reason: z.object({ code: z.string(), detail: z.string() }).optional().meta({ description: 'Why it is not analysable, failed or was cancelled' }),
  })
  .meta({ id: 'Analysis', description: 'One run of an analysis over a study' });
export type AnalysisJson = z.infer<typeof analysisSchema>;

export const analysisPageSchema = pageSchema(analysisSchema, 'AnalysisPage');

export const analysisQuery = pageQuery.extend({
  studyInstanceUid: uid.optional().meta({ description: 'Runs of this study' }),
  analysis: z.enum(ANALYSIS_NAMES).optional().meta({ description: 'Runs of this analysis' }),
  status: z.enum(RUN_STATUSES).optional().meta({ description: 'Runs in this state' }),
});
export type AnalysisQuery = z.infer<typeof analysisQuery>;

export function analysisJson(row: RunRow): AnalysisJson {
  return {
    id: row.id, analysis: row.analysis, studyInstanceUid: row.studyInstanceUid,
    // The columns hold nothing else.
    status: row.status as AnalysisJson['status'], priority: row.priority as AnalysisJson['priority'],
    progress: row.progress, stage: row.stage,
    model: { name: row.modelName, version: row.modelVersion, digest: row.modelDigest },
    createdAt: row.createdAt.toISOString(),
    ...(row.startedAt && { startedAt: row.startedAt.toISOString() }),
    ...(row.finishedAt && { finishedAt: row.finishedAt.toISOString() }),
    timings: z.record(z.string(), z.number()).catch({}).parse(row.timings),
    ...(row.resultId !== null && { resultId: row.resultId }),
    ...(row.resultRemovedAt && { resultRemovedAt: row.resultRemovedAt.toISOString() }),
    ...(row.reasonCode !== null && { reason: { code: row.reasonCode, detail: row.reasonDetail ?? '' } }),
  };
}

export const analysisExample: AnalysisJson = {
  id: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', analysis: 'chest-xray-classification', studyInstanceUid: '2.25.314159265358979323846264338327950288',
  status: 'succeeded', priority: 'routine', progress: 1, stage: 'done',
  model: { name: 'chest-xray-pneumonia', version: '1.0.0', digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
  createdAt: '2026-11-21T09:59:58.000Z', startedAt: '2026-11-21T09:59:58.412Z', finishedAt: '2026-11-21T10:00:00.000Z',
  timings: { read: 4, load: 61, decode: 12, prepare: 3, infer: 2, conclude: 1, store: 14 }, resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49',
};
