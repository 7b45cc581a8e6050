import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { isMissingInS3, isNotOffered, s3Error, s3ErrorName } from './s3-error.js';

/** As the SDK throws what a server answered. */
function answered(httpStatusCode: number, name: string): Error {
  return Object.assign(new Error('key institution/study/uid'), { name, $metadata: { httpStatusCode } });
}

/** As Node.js throws what the system answered. */
function system(code: string): Error {
  return Object.assign(new Error('connect 10.0.0.1'), { code });
}

describe('s3Error', () => {
  it.each([
    [answered(404, 'NoSuchKey'), 'blob-missing'],
    [answered(404, 'NotFound'), 'blob-missing'],
    [answered(412, 'PreconditionFailed'), 'blob-missing'],
    [answered(404, 'NoSuchBucket'), 'storage-unavailable'],
    [answered(404, 'NoSuchUpload'), 'storage-unavailable'],
    [answered(507, 'XMinioStorageFull'), 'storage-full'],
    [answered(507, 'Unknown'), 'storage-full'],
    [answered(403, 'QuotaExceeded'), 'storage-full'],
    [system('ENOSPC'), 'storage-full'],
    [answered(403, 'AccessDenied'), 'storage-unavailable'],
    [answered(503, 'SlowDown'), 'storage-unavailable'],
    [system('ECONNREFUSED'), 'storage-unavailable'],
    ['not an error', 'storage-unavailable'],
  ])('gives a code to %s', (error, code) => {
    expect(s3Error(error).code).toBe(code);
    expect(s3Error(error).message).not.toMatch(/institution|10\.0/);
  });

  it.each([
    [answered(403, 'InvalidAccessKeyId'), /credentials/],
    [answered(403, 'Unknown'), /credentials/],
    [answered(301, 'Unknown'), /S3_REGION/],
    [answered(404, 'NoSuchBucket'), /S3_BUCKET/],
    [answered(403, 'RequestTimeTooSkewed'), /clock/],
    [system('SELF_SIGNED_CERT_IN_CHAIN'), /S3_CA_FILE/],
    [system('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /S3_CA_FILE/],
    [system('CERT_HAS_EXPIRED'), /S3_CA_FILE/],
  ])('tells the operator what to look at after %s', (error, detail) => {
    expect(s3Error(error).detail).toMatch(detail);
  });

  it('leaves our own errors as they are', () => {
    const own = new AppError('internal');
    expect(s3Error(own)).toBe(own);
  });
});

describe('what an S3 error is about', () => {
  it('is told from its name and status', () => {
    expect([answered(404, 'NotFound'), answered(404, 'NoSuchBucket'), system('ENOENT')].map(isMissingInS3)).toEqual([true, false, false]);
    expect([answered(501, 'NotImplemented'), answered(403, 'AccessDenied'), answered(500, 'InternalError')].map(isNotOffered)).toEqual([true, true, false]);
    expect([system('ECONNREFUSED'), answered(400, 'BadRequest'), new TypeError('x')].map(s3ErrorName)).toEqual(['ECONNREFUSED', 'BadRequest (HTTP 400)', 'TypeError']);
  });
});
