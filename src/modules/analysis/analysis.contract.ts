/** Outbox topics of this module. */
export const ANALYSIS_REQUESTED = 'analysis.requested';
export const ANALYSIS_SUCCEEDED = 'analysis.succeeded';
export const ANALYSIS_NOT_ANALYSABLE = 'analysis.not-analysable';
export const ANALYSIS_FAILED = 'analysis.failed';
export const RESULT_READY = 'result.ready';
export const RESULT_CRITICAL = 'result.critical';
/** In the place of `result.ready`: the gate refused the result, so nothing that it found is released. */
export const RESULT_WITHHELD = 'result.withheld';

/** Payload of `analysis.requested`. */
export type AnalysisRequested = { institutionId: string; analysisId: string };
/** Payload of `analysis.succeeded`, `analysis.not-analysable` and `analysis.failed`. */
export type AnalysisEnded = { institutionId: string; analysisId: string; studyInstanceUid: string; analysis: string; resultId: string | null };
/** Payload of `result.ready`, `result.critical` and `result.withheld`. */
export type ResultReady = { institutionId: string; resultId: string; analysisId: string; studyInstanceUid: string; analysis: string };
