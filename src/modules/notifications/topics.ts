import { ANALYSIS_FAILED, RESULT_CRITICAL, RESULT_READY, RESULT_WITHHELD } from '../analysis/analysis.contract.js';
import { RESULT_REVIEWED } from '../results/results.contract.js';
import { ACCESS_BREAK_GLASS } from '../users/users.contract.js';
import { WEBHOOK_DISABLED } from './webhooks/webhook.js';

/** What people are told of. */
export const NOTIFIED_TOPICS = [RESULT_READY, RESULT_CRITICAL, RESULT_WITHHELD, RESULT_REVIEWED, ANALYSIS_FAILED, ACCESS_BREAK_GLASS, WEBHOOK_DISABLED] as const;

export type NotifiedTopic = (typeof NOTIFIED_TOPICS)[number];

export const CRITICAL_TOPICS: readonly string[] = [RESULT_CRITICAL, ACCESS_BREAK_GLASS];

/** Topics that only those with the permission are told of. */
const FOR_FEW: readonly (readonly [topic: NotifiedTopic, permission: string])[] = [[ACCESS_BREAK_GLASS, 'audit:read'], [WEBHOOK_DISABLED, 'webhooks:read']];

/** Topics that somebody with these permissions is not told of. */
export function hiddenTopics(permissions: ReadonlySet<string>): readonly string[] {
  return FOR_FEW.filter(([, permission]) => !permissions.has(permission)).map(([topic]) => topic);
}

/** The live channel's topic; its keys are `<institution id>/<notification id>`. */
export const NOTIFICATIONS_LIVE = 'notifications';
