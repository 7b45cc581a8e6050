import { ANALYSIS_FAILED, RESULT_CRITICAL, RESULT_READY } from '../analysis/analysis.contract.js';

/** What people are told of. */
export const NOTIFIED_TOPICS = [RESULT_READY, RESULT_CRITICAL, ANALYSIS_FAILED] as const;

export type NotifiedTopic = (typeof NOTIFIED_TOPICS)[number];

/** The live channel's topic; its keys are `<institution id>/<notification id>`. */
export const NOTIFICATIONS_LIVE = 'notifications';
