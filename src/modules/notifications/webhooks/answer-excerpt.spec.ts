import { describe, expect, it } from 'vitest';
import { excerptOf } from './answer-excerpt.js';

const of = (text: string): string | null => excerptOf(Buffer.from(text));

describe('the excerpt of an answer', () => {
  it('is one short line without what terminals and pages would obey', () => {
    expect(of('{"error":\r\n\t"no"}')).toBe('{"error": "no"}');
    expect(of('a\u0000\u001b[31mred\u202etxt')).toBe('a [31mred txt');
    expect(of('')).toBeNull();
    expect(of(' \n ')).toBeNull();
    expect(of('x'.repeat(5_000))).toHaveLength(200);
    expect(Array.from(of('😀'.repeat(500)) ?? '')).toHaveLength(200);
  });

  it('takes bytes that are no text', () => {
    expect(excerptOf(Uint8Array.from([0xff, 0xfe, 0x00, 0x41]))).toMatch(/^[^\u0000-\u001f]+$/);
  });
});
