import { describe, expect, it } from 'vitest';
import { parseMediaType, relatedParts } from '../multipart-related.js';
import { MultipartBody, resumed, type Chunks } from './multipart-body.js';

async function partsOf(body: MultipartBody, bytes: Uint8Array): Promise<{ headers: Record<string, string>; text: string }[]> {
  const boundary = parseMediaType(body.contentType).parameters.get('boundary') ?? '';
  const parts: { headers: Record<string, string>; text: string }[] = [];
  for await (const { headers, content } of relatedParts((async function* () { yield await Promise.resolve(bytes); })(), boundary)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    parts.push({ headers: Object.fromEntries(headers), text: Buffer.concat(chunks).toString() });
  }
  return parts;
}

describe('A multipart body', () => {
  it('is read back by our own reader', async () => {
    const body = new MultipartBody('application/dicom');
    const bytes = Buffer.concat([
      body.head({ contentType: 'application/dicom; transfer-syntax=1.2' }), Buffer.from('one'),
      body.head({ contentType: 'application/dicom', contentLocation: 'https://host/x', contentRange: 'bytes 0-2/9' }), Buffer.from('\r\n--two'), body.end(),
    ]);
    expect(body.contentType).toMatch(/^multipart\/related; type="application\/dicom"; boundary=[\w-]{36}$/);
    expect(await partsOf(body, bytes)).toEqual([
      { headers: { 'content-type': 'application/dicom; transfer-syntax=1.2' }, text: 'one' },
      { headers: { 'content-type': 'application/dicom', 'content-location': 'https://host/x', 'content-range': 'bytes 0-2/9' }, text: '\r\n--two' },
    ]);
  });

  it('knows its length beforehand', () => {
    const body = new MultipartBody('application/dicom');
    const heads = [{ contentType: 'application/dicom' }, { contentType: 'application/dicom; transfer-syntax=1.2.840' }];
    const length = body.lengthOf(heads.map((head, i) => ({ head, bytes: 10 * i })));
    const bytes = Buffer.concat([...heads.flatMap((head, i) => [body.head(head), Buffer.alloc(10 * i)]), body.end()]);
    expect(bytes.length).toBe(length);
  });

  it('that is left at its first piece closes what makes the others', async () => {
    let isOpen = true;
    const parts = (async function* (): AsyncGenerator<Chunks> {
      try {
        yield await Promise.resolve([Buffer.from('one')]);
        yield [Buffer.from('two')];
      } finally {
        isOpen = false;
      }
    })();
    const { value } = (await parts.next()) as IteratorYieldResult<Chunks>;
    const left = resumed(value, parts, new MultipartBody('image/png'));
    await left.next();
    expect(isOpen).toBe(true);
    await left.return(undefined);
    expect(isOpen).toBe(false);
  });
});
