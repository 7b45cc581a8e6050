import { AppError, isNoSpace } from '../../kernel/errors.js';

/** What the file system answered to a write, as ours. */
export function storageError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError(isNoSpace(error) ? 'storage-full' : 'storage-unavailable', { cause: error });
}

/** What it answered to a read, as ours. */
export function missingOr(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError(isMissing(error) ? 'blob-missing' : 'storage-unavailable', { cause: error });
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
