import { AppError, isNoSpace } from '../../kernel/errors.js';

/** AWS, MinIO, Ceph: what says that the bucket, its quota or the disks below are full. */
const FULL = new Set(['InsufficientStorage', 'StorageFull', 'QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded']);
const MISSING = new Set(['NoSuchKey', 'NoSuchVersion', 'NotFound']);
const REFUSED = new Set([
  'AccessDenied', 'AllAccessDisabled', 'Forbidden', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken', 'CredentialsProviderError', 'TokenProviderError',
]);
const ELSEWHERE = new Set(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException']);
/** Of Node.js (OpenSSL). */
const UNTRUSTED = /^(ERR_TLS_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(VERIFY|GET_ISSUER))/;

/** What an S3 server, the connection to it or the SDK answered, as ours. The detail names what an operator can put right. */
export function s3Error(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isNoSpace(error)) return new AppError('storage-full', { cause: error });
  const { name, code, status } = factsOf(error);
  if (FULL.has(name) || status === 507) return new AppError('storage-full', { cause: error });
  if (name === 'NoSuchBucket') return unavailable(error, 'The bucket is missing (S3_BUCKET).');
  if (MISSING.has(name)) return new AppError('blob-missing', { cause: error });
  // Reads ask for the object that they began with.
  if (status === 412) return new AppError('blob-missing', { detail: 'The object was replaced while it was read.', cause: error });
  if (name === 'RequestTimeTooSkewed') return unavailable(error, 'The clock of this machine differs from that of the storage.');
  if (ELSEWHERE.has(name) || status === 301 || status === 307) return unavailable(error, 'The bucket lies in another region (S3_REGION).');
  if (REFUSED.has(name) || status === 403) return unavailable(error, 'The storage refuses the credentials, or what they ask for.');
  if (UNTRUSTED.test(code)) return unavailable(error, 'The certificate of the storage is not trusted (S3_CA_FILE).');
  return unavailable(error);
}

/** True for what is or was not there. */
export function isMissingInS3(error: unknown): boolean {
  return MISSING.has(factsOf(error).name);
}

/** True when the server does not know how to do this, or does not let these credentials. */
export function isNotOffered(error: unknown): boolean {
  const { name, status } = factsOf(error);
  return status === 501 || status === 405 || status === 403 || REFUSED.has(name);
}

/** An error in a word, for operators: what the system says, or the server. Answers without a body have a status only. */
export function s3ErrorName(error: unknown): string {
  const { name, code, status } = factsOf(error);
  if (code !== '') return code;
  return status === 0 ? name : `${name} (HTTP ${String(status)})`;
}

interface Facts {
  /** The error code of S3, or the class of the error. */
  name: string;
  /** Of the system; empty for what the server answered. */
  code: string;
  /** HTTP; 0 when there was no answer. */
  status: number;
}

function factsOf(error: unknown): Facts {
  if (!(error instanceof Error)) return { name: '', code: '', status: 0 };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined;
  const status = typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata && typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0;
  return { name: error.name, code, status };
}

function unavailable(cause: unknown, detail?: string): AppError {
  return new AppError('storage-unavailable', { ...(detail !== undefined && { detail }), cause });
}
