import { constants, inflateRawSync, inflateSync } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';

const ALWAYS_ALLOWED_BYTES = 64 * 1024 * 1024;
const MAX_RATIO = 250;
const MAX_INFLATED_BYTES = 1024 * 1024 * 1024;

/**
 * Inflates the data set of Deflated Explicit VR Little Endian. Computes long for large objects: call it in a thread
 * where that matters.
 *
 * @throws AppError `archive-bomb` beyond `maxBytes`, or beyond 64 MiB at a ratio above 250; `truncated-file`; `invalid-dicom`
 * @see PS3.5 A.5
 */
export function inflateDataSet(deflated: Uint8Array, maxBytes = MAX_INFLATED_BYTES): Uint8Array {
  const maxOutputLength = Math.min(maxBytes, Math.max(ALWAYS_ALLOWED_BYTES, deflated.length * MAX_RATIO));
  try {
    return inflateRawSync(deflated, { maxOutputLength });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw new AppError('archive-bomb', { cause: error });
    if (codeOf(error) === 'Z_BUF_ERROR') throw new AppError('truncated-file', { detail: 'The deflated data set is not complete', cause: error });
  }
  try {
    // Some writers put the zlib header that the standard leaves out.
    return inflateSync(deflated, { maxOutputLength, finishFlush: constants.Z_FINISH });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw new AppError('archive-bomb', { cause: error });
    throw new AppError('invalid-dicom', { detail: 'The deflated data set cannot be inflated', cause: error });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
