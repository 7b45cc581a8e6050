import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { withStored } from './fate.js';

describe('withStored', () => {
  const stored = { status: 'stored' } as const;

  it('says how many files were stored, and keeps what the error says', () => {
    const errors = [{ pointer: '/x', detail: 'Unknown field' }];
    const error = new AppError('invalid-body', { detail: 'So it is not.', errors, retryAfterSeconds: 3 });
    expect(withStored(error, [stored, { status: 'refused' }, stored, { status: 'duplicate' }]))
      .toMatchObject({ code: 'invalid-body', detail: 'So it is not. 2 files of this request were stored before the error.', errors, retryAfterSeconds: 3, cause: error });
    expect(withStored(new AppError('malformed-multipart'), [stored])).toMatchObject({ detail: '1 file of this request was stored before the error.' });
  });

  it('leaves alone what has nothing to tell or is no error of ours', () => {
    const ours = new AppError('payload-too-large');
    const foreign = new Error('x');
    expect(withStored(ours, [{ status: 'duplicate' }])).toBe(ours);
    expect(withStored(foreign, [stored])).toBe(foreign);
  });
});
