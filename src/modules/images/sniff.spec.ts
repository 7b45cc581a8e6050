import { describe, expect, it } from 'vitest';
import { sniff } from './sniff.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('sniff', () => {
  it('knows DICOM by the mark behind the preamble, whatever the preamble holds', () => {
    const file = new Uint8Array(200);
    file.set(Buffer.from('PK\u0003\u0004'), 0);
    file.set(Buffer.from('DICM'), 128);
    expect(sniff(file)).toBe('dicom');
  });

  it('takes a data set without preamble for DICOM in either byte order', () => {
    expect(sniff(bytes(8, 0, 5, 0, 0x43, 0x53, 10, 0))).toBe('dicom');
    expect(sniff(bytes(2, 0, 0, 0, 0x55, 0x4c, 4, 0))).toBe('dicom');
    expect(sniff(bytes(0, 8, 0, 5, 0x43, 0x53, 0, 10))).toBe('dicom');
  });

  it('knows ZIP, the empty ZIP, gzip, PNG and JPEG', () => {
    expect(sniff(Buffer.from('PK\u0003\u0004rest'))).toBe('zip');
    expect(sniff(Buffer.from('PK\u0005\u0006rest'))).toBe('zip');
    expect(sniff(bytes(0x1f, 0x8b, 8, 0))).toBe('gzip');
    expect(sniff(bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))).toBe('png');
    expect(sniff(bytes(0xff, 0xd8, 0xff, 0xe0))).toBe('jpeg');
  });

  it('calls nothing empty and anything else unknown', () => {
    expect(sniff(bytes())).toBe('empty');
    expect(sniff(bytes(8))).toBe('unknown');
    expect(sniff(Buffer.from('%PDF-1.7'))).toBe('unknown');
  });
});
