import { derivedDicomUid } from '../../kernel/uid.js';

/** The Tracking Unique Identifier of what a result found: the same in its SEG and its SR. @param key  the finding's id */
export function trackingUidOf(resultId: string, key: string): string {
  return derivedDicomUid(`${resultId} tracking ${key}`);
}
