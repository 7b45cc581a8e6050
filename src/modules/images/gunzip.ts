import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';
import { assertPlausibleRatio, type InflationBudget } from './archive-guard.js';
import type { ByteSource } from './byte-source.js';

/**
 * Inflates a gzip file as it comes in.
 *
 * @param budget  what the request may inflate yet
 * @throws AppError `archive-bomb`, `truncated-file`, `invalid-archive`; what `source` throws
 */
export async function* gunzip(source: ByteSource, budget: InflationBudget): AsyncGenerator<Uint8Array> {
  const inflate = createGunzip();
  const feeding = pipeline(source, inflate);
  // Reported by the loop below; without this a consumer that stops early would leave a rejection that nobody awaits.
  feeding.catch(() => undefined);
  let inflatedBytes = 0;
  try {
    for await (const chunk of inflate) {
      // Readables in byte mode give buffers.
      const bytes = chunk as Uint8Array;
      inflatedBytes += bytes.byteLength;
      assertPlausibleRatio(inflatedBytes, inflate.bytesWritten);
      budget.spend(bytes.byteLength);
      yield bytes;
    }
    await feeding;
  } catch (error) {
    throw inflateError(error);
  } finally {
    inflate.destroy();
  }
}

/** zlib's errors as ours; others pass. */
export function inflateError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string' || !error.code.startsWith('Z_')) return error;
  if (error.code === 'Z_BUF_ERROR') return new AppError('truncated-file', { detail: 'The compressed data end too early.', cause: error });
  return new AppError('invalid-archive', { detail: 'The compressed data are damaged.', cause: error });
}
