import { describe, expect, it } from 'vitest';
import { derivedDicomUid, isDicomUid, isDicomUidAsFound, isUuid, newDicomUid, uuidv7 } from './uid.js';

describe('DICOM UIDs', () => {
  it.each(['1.2.840.10008.1.2', '2.25.0', '0.0'])('accepts %s', (uid) => { expect(isDicomUid(uid)).toBe(true); });
  it.each(['', '1', '1.', '.1', '1..2', '1.02', '1.2a', ' 1.2', '1.2\0', `1.${'2'.repeat(63)}`])('refuses %j', (uid) => { expect(isDicomUid(uid)).toBe(false); });

  it.each(['1.2.826.012', '1.2.840.10008.1.2', '00.0'])('as found may be %s', (uid) => { expect(isDicomUidAsFound(uid)).toBe(true); });
  it.each(['', '1', '1.', '1..2', '1.2a', '1.2\0', '../1.2', `1.${'2'.repeat(63)}`, undefined])('as found are not %j', (uid) => { expect(isDicomUidAsFound(uid)).toBe(false); });

  it('are made new each time, and valid', () => {
    expect(isDicomUid(newDicomUid())).toBe(true);
    expect(newDicomUid()).not.toBe(newDicomUid());
  });

  it('derived from the same text are the same', () => {
    expect(derivedDicomUid('a')).toBe(derivedDicomUid('a'));
    expect(derivedDicomUid('a')).not.toBe(derivedDicomUid('b'));
    expect(isDicomUid(derivedDicomUid('a'))).toBe(true);
  });
});

describe('uuidv7', () => {
  it('sorts by time', () => {
    const ids = [3_000, 1_000, 2_000].map((time) => uuidv7(time));
    expect([...ids].sort()).toEqual([ids[1], ids[2], ids[0]]);
  });

  it('sorts within a millisecond as they were made', () => {
    const ids = Array.from({ length: 2_000 }, () => uuidv7(4_000));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(Array.from({ length: 10_000 }, () => uuidv7(5_000))).size).toBe(10_000);
  });

  it('is a UUID of version 7', () => {
    expect(isUuid(uuidv7())).toBe(true);
    expect(uuidv7()[14]).toBe('7');
  });
});
