import { describe, expect, it } from 'vitest';
import { assertPlausibleRatio, InflationBudget, judgeEntry, type EntryHeader } from './archive-guard.js';

const MiB = 1024 * 1024;
const entry = (over: Partial<EntryHeader>): EntryHeader => ({ name: 'series/1.dcm', compressedBytes: 1000, inflatedBytes: 2000, method: 8, encrypted: false, ...over });

describe('judgeEntry', () => {
  it('takes stored and deflated entries', () => {
    expect(judgeEntry(entry({}))).toEqual({ kind: 'take' });
    expect(judgeEntry(entry({ method: 0 }))).toEqual({ kind: 'take' });
    expect(judgeEntry(entry({ name: 'a..b/c...dcm' }))).toEqual({ kind: 'take' });
  });

  it.each(['/etc/passwd', '../up.dcm', 'a/../../b.dcm', 'C:/x.dcm', 'c:x.dcm', 'a\\b.dcm', 'a\0.dcm'])('refuses the path %j', (name) => {
    expect(judgeEntry(entry({ name }))).toMatchObject({ kind: 'refuse', code: 'unsafe-archive-path' });
  });

  it.each(['folder/', '__MACOSX/a.dcm', 'x/__MACOSX/._a.dcm', 'DICOMDIR', 'cd/dicomdir', '.DS_Store', 'a/.hidden'])('passes %s over', (name) => {
    expect(judgeEntry(entry({ name }))).toEqual({ kind: 'skip' });
  });

  it('refuses what is encrypted or compressed in an unknown way', () => {
    expect(judgeEntry(entry({ encrypted: true }))).toMatchObject({ kind: 'refuse', code: 'invalid-archive' });
    expect(judgeEntry(entry({ method: 14 }))).toMatchObject({ kind: 'refuse', code: 'invalid-archive' });
  });

  it('refuses an entry that expands more than a thousandfold, but not a small one', () => {
    expect(judgeEntry(entry({ compressedBytes: 10_000, inflatedBytes: 11 * MiB }))).toMatchObject({ code: 'archive-bomb' });
    expect(judgeEntry(entry({ compressedBytes: 20_000, inflatedBytes: 11 * MiB }))).toEqual({ kind: 'take' });
    expect(judgeEntry(entry({ compressedBytes: 100, inflatedBytes: MiB }))).toEqual({ kind: 'take' });
  });
});

describe('assertPlausibleRatio', () => {
  it('lets blank images pass and stops a bomb', () => {
    expect(() => { assertPlausibleRatio(9 * MiB, 10); }).not.toThrow();
    expect(() => { assertPlausibleRatio(64 * MiB, 256 * 1024); }).not.toThrow();
    expect(() => { assertPlausibleRatio(64 * MiB, 64 * 1024); }).toThrow(expect.objectContaining({ code: 'archive-bomb' }));
  });
});

describe('InflationBudget', () => {
  it('is spent to its last byte, and what does not fit leaves the rest', () => {
    const budget = new InflationBudget(10);
    budget.spend(6);
    expect(() => { budget.spend(5); }).toThrow(expect.objectContaining({ code: 'archive-bomb' }));
    expect(() => { budget.spend(4); }).not.toThrow();
    expect(() => { budget.spend(1); }).toThrow(expect.objectContaining({ code: 'archive-bomb' }));
  });
});
