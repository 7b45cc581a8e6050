import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES, type ErrorCode } from '../../../kernel/errors.js';
import { IdentityMismatch } from './data-set-identity.js';
import { answerToError, answerToFate } from './store-status.js';

const identity = { studyInstanceUid: '1.2', seriesInstanceUid: '1.2.1', sopInstanceUid: '1.2.1.1', sopClassUid: '1.2.840.10008.5.1.4.1.1.7' };

describe('The status of a C-STORE', () => {
  it('is success for what is stored, now or before', () => {
    expect(answerToFate({ status: 'stored', ...identity })).toEqual({ status: 0 });
    expect(answerToFate({ status: 'duplicate', ...identity })).toEqual({ status: 0 });
  });

  it('tells the sender whether to try again', () => {
    const statuses: [ErrorCode, number][] = [
      ['instance-conflict', 0x0111], ['wrong-study', 0x0111], ['missing-sop-class', 0xa900], ['unsupported-transfer-syntax', 0x0122], ['forbidden', 0x0124],
      ['not-dicom', 0xc000], ['truncated-file', 0xc000], ['invalid-pixel-data', 0xc000], ['payload-too-large', 0xc000],
      ['storage-full', 0xa700], ['storage-unavailable', 0xa700], ['database-unavailable', 0xa700], ['shutting-down', 0xa700], ['study-deleted', 0xa700], ['internal', 0x0110],
    ];
    for (const [code, status] of statuses) {
      expect(answerToFate({ status: 'refused', code, detail: 'DOE^JANE' }).status, code).toBe(status);
      expect(answerToError(new AppError(code, { detail: 'DOE^JANE' })).status, code).toBe(status);
    }
    expect(answerToError(new IdentityMismatch('The data set does not match its SOP class'))).toEqual({ status: 0xa900, comment: 'The data set does not match its SOP class' });
    expect(answerToError(new TypeError('DOE^JANE')).status).toBe(0x0110);
  });

  it('comes with a comment that fits and says nothing of the data set', () => {
    // Object.keys widens the keys.
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const { comment = '' } = answerToError(new AppError(code, { detail: 'DOE^JANE' }));
      expect(comment).toMatch(/^[\x20-\x5b\x5d-\x7e]{1,64}$/);
      expect(comment).not.toMatch(/DOE/);
    }
    expect(answerToError(new TypeError('DOE^JANE')).comment).not.toMatch(/DOE/);
  });
});
