import { AppError, type ErrorCode } from '../../kernel/errors.js';

/** Which instance a file holds, as far as it could be read. */
export interface InstanceIdentity {
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  sopClassUid: string;
}

/** What became of one instance. `duplicate`: the very same bytes were there before, nothing changed. */
export type Fate = ({ status: 'stored' | 'duplicate' } & InstanceIdentity) | Refusal;

export type Refusal = { status: 'refused'; code: ErrorCode; detail?: string } & Partial<InstanceIdentity>;

/** What became of an instance is not known, or tells of us and not of it: its request fails with the error. */
export interface Failure {
  status: 'failed';
  error: unknown;
}

/** @returns the fate that an error stands for, or the failure that it is */
export function outcomeOf(error: unknown, identity?: InstanceIdentity): Refusal | Failure {
  return refusalOf(error, identity) ?? { status: 'failed', error };
}

/** The fate that an error stands for, or undefined when it tells of us and not of the file (disk full, database away). */
export function refusalOf(error: unknown, identity?: InstanceIdentity): Refusal | undefined {
  if (!(error instanceof AppError) || (error.status !== 422 && error.status !== 409)) return undefined;
  return { status: 'refused', ...identity, code: error.code, ...(error.detail !== undefined && { detail: error.detail }) };
}

/** A file's fate in a list: `file` is the client's name for it, `archive.zip/path/entry.dcm` inside an archive. */
export interface FileFate {
  file: string;
  status: Fate['status'];
  studyInstanceUid?: string;
  seriesInstanceUid?: string;
  sopInstanceUid?: string;
  code?: ErrorCode;
  detail?: string;
}

export function fileFate(file: string, fate: Fate): FileFate {
  const { status, studyInstanceUid, seriesInstanceUid, sopInstanceUid } = fate;
  return {
    file,
    status,
    ...(studyInstanceUid !== undefined && { studyInstanceUid }),
    ...(seriesInstanceUid !== undefined && { seriesInstanceUid }),
    ...(sopInstanceUid !== undefined && { sopInstanceUid }),
    ...(fate.status === 'refused' && { code: fate.code, ...(fate.detail !== undefined && { detail: fate.detail }) }),
  };
}

/** 201 when all files are in, 207 when some are, 422 when none is. */
export function statusOf(fates: readonly FileFate[]): 201 | 207 | 422 {
  const refused = fates.filter(({ status }) => status === 'refused').length;
  if (refused === 0) return 201;
  return refused < fates.length ? 207 : 422;
}

/**
 * An error of a whole request, with the number of files that it stored before: they stay, and nobody else tells of them.
 *
 * @returns an AppError of the same code; anything else as it is
 */
export function withStored(error: unknown, fates: readonly Pick<FileFate, 'status'>[]): unknown {
  const stored = fates.filter(({ status }) => status === 'stored').length;
  if (!(error instanceof AppError) || stored === 0) return error;
  const note = `${stored === 1 ? '1 file of this request was' : `${String(stored)} files of this request were`} stored before the error.`;
  return new AppError(error.code, {
    detail: error.detail === undefined ? note : `${error.detail} ${note}`,
    cause: error,
    ...(error.errors && { errors: error.errors }),
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
  });
}
