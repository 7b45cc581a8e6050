import { describe, expect, it } from 'vitest';
import { RowDigest } from './row-digest.js';

function digestOf(...chunks: string[]): { rows: number; hex: string } {
  const digest = new RowDigest();
  for (const chunk of chunks) digest.update(Buffer.from(chunk));
  return { rows: digest.rows, hex: digest.hex };
}

describe('RowDigest', () => {
  it('does not depend on the order of the rows, nor on where the stream is cut', () => {
    const whole = digestOf('one\t1\ntwo\t2\nthree\t3\n');
    expect(whole.rows).toBe(3);
    expect(digestOf('three\t3\none\t1\ntwo\t2\n')).toEqual(whole);
    expect(digestOf('o', 'ne\t1', '\n', 'two\t2\nthr', 'ee\t3\n')).toEqual(whole);
  });

  it('tells apart what differs in a bit, a row, or where a row ends', () => {
    const digests = ['a\nb\n', 'a\nc\n', 'a\n', 'a\nb\nb\n', 'ab\n', '\n', ''].map((text) => digestOf(text).hex);
    expect(new Set(digests).size).toBe(digests.length);
    expect(digestOf('a\na\n').hex).not.toBe(digestOf('').hex);
  });
});
