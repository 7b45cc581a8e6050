import { describe, expect, it } from 'vitest';
import { sourceOf } from '../byte-source.js';
import { byteCount, formOf, parseChecksum, parseMetadata } from './tus-headers.js';

const refused = expect.objectContaining({ code: 'bad-request' }) as Error;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('byteCount', () => {
  it('takes whole numbers and nothing else', () => {
    expect(byteCount('Upload-Length', '0')).toBe(0);
    expect(byteCount('Upload-Length', '4294967296')).toBe(2 ** 32);
    for (const value of ['', '-1', '1.5', '0x10', '1e3', ' 1', '9'.repeat(16)]) expect(() => byteCount('Upload-Length', value)).toThrow(refused);
  });
});

describe('parseMetadata', () => {
  it('decodes values, and lets a key stand without one', () => {
    expect([...parseMetadata(`filename ${base64('Übung ^ 练习.dcm')},patientId ${base64('P-1')}, is_private`)]).toEqual([['filename', 'Übung ^ 练习.dcm'], ['patientId', 'P-1'], ['is_private', '']]);
    expect(parseMetadata(undefined).size).toBe(0);
    expect(parseMetadata('').size).toBe(0);
  });

  it('refuses what is no base64, a key given twice, and keys that are none', () => {
    for (const value of ['filename a*b=', 'filename YWI', `a ${base64('1')},a ${base64('2')}`, `a ${base64('1')} ${base64('2')}`, `ä ${base64('1')}`]) expect(() => parseMetadata(value)).toThrow(refused);
  });
});

describe('parseChecksum', () => {
  it('takes sha1 and sha256', () => {
    expect(parseChecksum('sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=')).toMatchObject({ algorithm: 'sha1' });
    expect(parseChecksum(`sha256 ${Buffer.alloc(32, 1).toString('base64')}`)?.digest).toEqual(Buffer.alloc(32, 1));
    expect(parseChecksum(undefined)).toBeUndefined();
  });

  it('refuses other algorithms and digests of another size', () => {
    for (const value of ['', 'md5 AAAA', 'sha1', 'sha1 AAAA', `sha256 ${Buffer.alloc(20).toString('base64')}`, `sha1 ${Buffer.alloc(20).toString('base64')} x`]) expect(() => parseChecksum(value)).toThrow(refused);
  });
});

describe('formOf', () => {
  const parts = (metadata: string): unknown[] => formOf(parseMetadata(metadata), sourceOf(Buffer.from('x'))).map((part) => (part.kind === 'file' ? part.name : [part.name, part.value]));

  it('gives the fields of pictures and one file, whatever else clients tell', () => {
    expect(parts(`filename ${base64('a.png')},filetype ${base64('image/png')},patientAge ${base64('4')}`)).toEqual([['patientAge', '4'], 'a.png']);
    expect(parts(`name ${base64('b.dcm')}`)).toEqual(['b.dcm']);
    expect(parts('')).toEqual(['unnamed']);
  });
});
