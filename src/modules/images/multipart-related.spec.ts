import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseMediaType, relatedParts } from './multipart-related.js';

function chunks(body: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  return Readable.from(Array.from({ length: Math.ceil(body.length / size) }, (_, n) => body.subarray(n * size, (n + 1) * size)));
}

async function read(body: string | Uint8Array, size = 7, boundary = 'b0'): Promise<{ type: string | undefined; text: string }[]> {
  const parts: { type: string | undefined; text: string }[] = [];
  for await (const { headers, content } of relatedParts(chunks(Buffer.from(body as string, 'latin1'), size), boundary)) {
    const bytes: Uint8Array[] = [];
    for await (const chunk of content) bytes.push(chunk);
    parts.push({ type: headers.get('content-type'), text: Buffer.concat(bytes).toString('latin1') });
  }
  return parts;
}

const BODY = 'preamble\r\n--b0\r\nContent-Type: application/dicom\r\n\r\none\r\n--b\r\nstill one\r\n--b0  \r\ncontent-type:x/y\r\nX-A: 1\r\n\r\n\r\n--b0\r\n\r\nno headers\r\n--b0--\r\nepilogue';

describe('relatedParts', () => {
  it.each([1, 2, 3, 7, 64, 4096])('cuts a body that comes in chunks of %i bytes', async (size) => {
    expect(await read(BODY, size)).toEqual([
      { type: 'application/dicom', text: 'one\r\n--b\r\nstill one' },
      { type: 'x/y', text: '' },
      { type: undefined, text: 'no headers' },
    ]);
  });

  it('reads on when nobody wanted the content of a part', async () => {
    const types: (string | undefined)[] = [];
    for await (const { headers } of relatedParts(chunks(Buffer.from(BODY), 5), 'b0')) types.push(headers.get('content-type'));
    expect(types).toEqual(['application/dicom', 'x/y', undefined]);
  });

  it.each([1, 5, 4096])('reads on when a reader of chunks of %i bytes breaks off', async (size) => {
    const types: (string | undefined)[] = [];
    for await (const { headers, content } of relatedParts(chunks(Buffer.from(BODY), size), 'b0')) {
      types.push(headers.get('content-type'));
      for await (const _ of content) break;
    }
    expect(types).toEqual(['application/dicom', 'x/y', undefined]);
  });

  it('gives no part of a body that closes at once', async () => {
    expect(await read('--b0--')).toEqual([]);
  });

  it.each(['', 'no boundary at all', '--b0\r\nContent-Type: a/b\r\n\r\ncut off', '--b0\r\nContent-Type: a/b', '--b0 junk\r\n\r\n\r\n--b0--', '--b0\r\nno colon\r\n\r\nx\r\n--b0--'])(
    'calls %j malformed', async (body) => {
      await expect(read(body)).rejects.toMatchObject({ code: 'malformed-multipart' });
    });

  it('takes a hundred thousand parts, and not one more', async () => {
    const count = async (parts: number): Promise<number> => {
      let seen = 0;
      for await (const _ of relatedParts(chunks(Buffer.from(`${'--b\r\n\r\n\r\n'.repeat(parts)}--b--`), 65_536), 'b')) seen++;
      return seen;
    };
    expect(await count(100_000)).toBe(100_000);
    await expect(count(100_001)).rejects.toMatchObject({ code: 'payload-too-large', detail: 'A body may have 100000 parts.' });
  });

  it('takes the boundary of Orthanc, longer than RFC 2046 has it', async () => {
    const boundary = 'cfcc20d6-93ca-486d-a346-49e6d5f2dd11-cfcc20d6-93ca-486d-a346-49e6d5f2dd11';
    expect(await read(BODY.replaceAll('--b0', `--${boundary}`), 64, boundary)).toHaveLength(3);
  });

  it('refuses headers without end and a boundary beyond 200 characters', async () => {
    await expect(read(`--b0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 4096)).rejects.toMatchObject({ code: 'malformed-multipart' });
    await expect(read('', 1, 'x'.repeat(201))).rejects.toMatchObject({ code: 'malformed-multipart' });
  });
});

describe('parseMediaType', () => {
  it('reads parameters, quoted or not', () => {
    const { essence, parameters } = parseMediaType('Multipart/Related; type="application/dicom"; boundary=abc; start="<a\\"b>"');
    expect(essence).toBe('multipart/related');
    expect(Object.fromEntries(parameters)).toEqual({ type: 'application/dicom', boundary: 'abc', start: '<a"b>' });
  });
});
