import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import { refusalOf, type Refusal } from './fate.js';

/** One instance of a STOW-RS request, as a file. */
export interface SentInstance {
  content: ByteSource;
  /** What the request says of it beside the file. */
  identity?: ReferencedInstance;
}

export type ReferencedInstance = Pick<Refusal, 'sopClassUid' | 'sopInstanceUid'>;

/**
 * As `refusalOf`; and what finds no room fails by itself too: others of the request may be smaller, or stored already.
 *
 * @returns undefined when the whole request fails with the error
 */
export function instanceRefusal(error: unknown): Refusal | undefined {
  return error instanceof AppError && error.code === 'storage-full' ? { status: 'refused', code: 'storage-full' } : refusalOf(error);
}
