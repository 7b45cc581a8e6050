import { ApiHeader } from '@nestjs/swagger';
import { AppError } from '../../kernel/errors.js';

/** Documents that the route takes `If-Match`. Name `precondition-failed` in its `problems`. */
export const TakesIfMatch = (): MethodDecorator => ApiHeader({
  name: 'If-Match',
  description: 'The ETag of the version that you have seen; any version when omitted.',
  required: false,
  schema: { type: 'string' },
});

/** As `TakesIfMatch`, for routes that refuse a call without. Name `precondition-required` and `precondition-failed` in its `problems`. */
export const NeedsIfMatch = (): MethodDecorator => ApiHeader({
  name: 'If-Match',
  description: 'The ETag of the version that you have seen, or `*` for whichever it is.',
  required: true,
  schema: { type: 'string' },
});

/**
 * Refuses a change to something that the caller has not seen. Without `If-Match` there is nothing to compare.
 *
 * @param etag  of the resource as it is, read under the lock that the change holds
 * @throws AppError `precondition-failed`
 * @see RFC 9110 §13.1.1: strong comparison, so a weak tag never matches
 */
export function requireMatch(ifMatch: string | undefined, etag: string): void {
  if (ifMatch === undefined) return;
  if (!ifMatch.split(',').some((given) => ['*', etag].includes(given.trim()))) throw new AppError('precondition-failed');
}

/**
 * As `requireMatch`, where nobody may change what they have not looked at.
 *
 * @param etags  of every representation of the resource as it is
 * @throws AppError `precondition-required`, `precondition-failed`
 * @see RFC 6585 §3
 */
export function requireSeen(ifMatch: string | undefined, etags: readonly string[]): void {
  if (ifMatch === undefined) throw new AppError('precondition-required');
  const given = ifMatch.split(',').map((tag) => tag.trim());
  if (!given.some((tag) => tag === '*' || etags.includes(tag))) throw new AppError('precondition-failed');
}
