import { AppError } from '../../../kernel/errors.js';

/** Of one request; a URL holds fewer than this anyway. */
const MAX_FRAMES = 5_000;

/**
 * Frame numbers of a URL, from 1, in the order in which they are asked for.
 *
 * @throws AppError `bad-request`
 * @see PS3.18 §10.4.1.1.1
 */
export function frameList(text: string): number[] {
  const numbers = text.split(',').map((part) => (/^\d{1,9}$/.test(part.trim()) ? Number(part) : Number.NaN));
  if (numbers.length > MAX_FRAMES || numbers.some((number) => !(number >= 1))) throw new AppError('bad-request', { detail: 'Frames are numbers from 1, separated by commas.' });
  return numbers;
}
