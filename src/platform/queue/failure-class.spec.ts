import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES, type ErrorCode } from '../../kernel/errors.js';
import { FAILURE_CLASSES, failureClassOf, mostTries, waitAfter } from './failure-class.js';

const withCode = (code: string, message = ''): Error => Object.assign(new Error(message), { code });

describe('the class of a failure', () => {
  it.each<[ErrorCode, string]>([
    ['database-unavailable', 'transient'], ['storage-full', 'transient'], ['remote-unavailable', 'transient'], ['thread-lost', 'transient'], ['too-many-requests', 'transient'],
    ['out-of-memory', 'out-of-memory'], ['blob-missing', 'bad-input'], ['key-destroyed', 'bad-input'], ['study-deleted', 'bad-input'], ['invalid-dicom', 'bad-input'], ['internal', 'bug'],
  ])('of %s is %s', (code, expected) => {
    expect(failureClassOf(new AppError(code))).toBe(expected);
  });

  it('is known of every code', () => {
    for (const code of Object.keys(ERROR_CODES)) expect(FAILURE_CLASSES).toContain(failureClassOf(new AppError(code as ErrorCode)));
  });

  it.each([
    ['a connection that breaks', withCode('ECONNRESET'), 'transient'],
    ['a full disk', withCode('ENOSPC'), 'transient'],
    ['a mail relay that is away', withCode('ESOCKET'), 'transient'],
    ['a relay that takes nothing just now', Object.assign(withCode('EENVELOPE'), { responseCode: 451 }), 'transient'],
    ['a relay that knows no such address', Object.assign(withCode('EENVELOPE'), { responseCode: 550 }), 'bad-input'],
    ['a deadlock', withCode('40P01'), 'transient'],
    ['PostgreSQL that starts', new Error('the database system is starting up'), 'transient'],
    ['PostgreSQL that is the primary no more', Object.assign(new pg.DatabaseError('cannot execute INSERT in a read-only transaction', 0, 'error'), { code: '25006' }), 'transient'],
    ['a time that is over', Object.assign(new Error(), { name: 'TimeoutError' }), 'transient'],
    ['an array that finds no room', new RangeError('Array buffer allocation failed'), 'out-of-memory'],
    ['a thread that found none', withCode('ERR_WORKER_OUT_OF_MEMORY'), 'out-of-memory'],
    ['an array of an impossible length', new RangeError('Invalid array length'), 'bug'],
    ['a slip of ours', new TypeError('x is not a function'), 'bug'],
    ['a unique key that is there', withCode('23505'), 'bug'],
    ['what is no error', 'text', 'bug'],
    ['nothing', undefined, 'bug'],
  ])('of %s', (_name, error, expected) => {
    expect(failureClassOf(error)).toBe(expected);
  });

  it('is that of the cause, where the error itself says nothing', () => {
    expect(failureClassOf(new Error('wrapped', { cause: new Error('again', { cause: new AppError('storage-unavailable') }) }))).toBe('transient');
    const circular = new Error('itself');
    circular.cause = circular;
    expect(failureClassOf(circular)).toBe('bug');
  });
});

describe('the wait after a failure', () => {
  it('is none for bad input', () => {
    expect(waitAfter('bad-input', 1)).toBeUndefined();
  });

  it('comes twice for a bug', () => {
    expect([1, 2, 3].map((tries) => waitAfter('bug', tries, 24, () => 1))).toEqual([500, 1_000, undefined]);
  });

  it('doubles up to ten minutes for what passes, and jitters by half', () => {
    expect([1, 2, 3, 11, 12, 23, 24].map((tries) => waitAfter('transient', tries, undefined, () => 1))).toEqual([500, 1_000, 2_000, 512_000, 600_000, 600_000, undefined]);
    expect(waitAfter('transient', 3, undefined, () => 0)).toBe(1_000);
  });

  it('is as often as the job says', () => {
    expect(waitAfter('transient', 11, 12, () => 1)).toBe(512_000);
    expect(waitAfter('transient', 12, 12)).toBeUndefined();
    expect(waitAfter('bug', 1, 1)).toBeUndefined();
    expect([mostTries(), mostTries(12), mostTries(1)]).toEqual([24, 12, 5]);
  });

  it('lets memory become free', () => {
    expect([1, 4, 5].map((tries) => waitAfter('out-of-memory', tries, 24, () => 1))).toEqual([15_000, 120_000, undefined]);
  });
});
