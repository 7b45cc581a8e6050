import { AppError } from '../../kernel/errors.js';

/** Bytes that the sweep has taken belong to a study that was deleted a moment ago. */
export function gone(error: unknown): never {
  if (error instanceof AppError && error.code === 'blob-missing') throw new AppError('instance-not-found', { detail: 'The image that this result was read from is not stored.', cause: error });
  throw error;
}
