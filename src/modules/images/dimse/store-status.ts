import { AppError, errorTitle, type ErrorCode } from '../../../kernel/errors.js';
import type { Fate } from '../fate.js';
import { IdentityMismatch } from './data-set-identity.js';

/** @see PS3.4 table B.2-1, PS3.7 annex C */
export const STATUS = {
  success: 0x0000,
  processingFailure: 0x0110,
  duplicateSopInstance: 0x0111,
  sopClassNotSupported: 0x0122,
  notAuthorized: 0x0124,
  outOfResources: 0xa700,
  dataSetDoesNotMatchSopClass: 0xa900,
  cannotUnderstand: 0xc000,
} as const;

/** What a C-STORE-RSP says. */
export interface StoreAnswer {
  status: number;
  /** Error Comment (0000,0902), at most 64 characters and never a value of the data set. */
  comment?: string;
}

const MOST_COMMENT_CHARACTERS = 64;

/** Codes whose status is not that of their kind. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  'instance-conflict': STATUS.duplicateSopInstance,
  'wrong-study': STATUS.duplicateSopInstance,
  'missing-sop-class': STATUS.dataSetDoesNotMatchSopClass,
  'unsupported-transfer-syntax': STATUS.sopClassNotSupported,
  'unsupported-photometric': STATUS.sopClassNotSupported,
  'forbidden': STATUS.notAuthorized,
  // Senders take "out of resources" for a reason to try again later, which is what helps here.
  'study-deleted': STATUS.outOfResources,
};

/** The answer to an instance that the ingest has decided on. */
export function answerToFate(fate: Fate): StoreAnswer {
  return fate.status === 'refused' ? answerToCode(fate.code) : { status: STATUS.success };
}

/** The answer when the ingest threw: it is us, or the claim of the command does not hold. */
export function answerToError(error: unknown): StoreAnswer {
  if (error instanceof IdentityMismatch) return { status: STATUS.dataSetDoesNotMatchSopClass, comment: error.message };
  return error instanceof AppError ? answerToCode(error.code, error.status) : answerToCode('internal');
}

function answerToCode(code: ErrorCode, httpStatus = new AppError(code).status): StoreAnswer {
  return { status: STATUSES[code] ?? statusOfKind(httpStatus), comment: errorTitle(code).slice(0, MOST_COMMENT_CHARACTERS) };
}

function statusOfKind(httpStatus: number): number {
  if (httpStatus === 503 || httpStatus === 507) return STATUS.outOfResources;
  return httpStatus >= 400 && httpStatus < 500 ? STATUS.cannotUnderstand : STATUS.processingFailure;
}
