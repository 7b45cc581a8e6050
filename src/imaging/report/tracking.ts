import { derivedDicomUid } from '../../kernel/uid.js';

/**
 * The UID under which one thing of a result is known in every object that tells of it: Segmentation, SR, other versions.
 *
 * @param key  the finding's id, or another name of the thing that is unique in the result
 * @see PS3.3 C.8.20.2, Tracking UID (0062,0021)
 */
export function trackingUidOf(resultId: string, key: string): string {
  return derivedDicomUid(`${resultId} tracking ${key}`);
}
