import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { exhaust, peek, UploadMeter, type ByteSource } from './byte-source.js';

const source = (...chunks: string[]): ByteSource => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

async function text(from: ByteSource): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of from) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('peek', () => {
  it('shows the beginning and gives the whole, however it is cut', async () => {
    for (const chunks of [['abcdef'], ['a', 'b', 'cdef'], ['abc', 'def'], ['', 'abcdef']]) {
      const peeked = await peek(source(...chunks), 3);
      expect(Buffer.from(peeked.head).toString()).toBe('abc');
      expect(await text(peeked.source)).toBe('abcdef');
    }
  });

  it('shows what there is of a short source', async () => {
    const peeked = await peek(source('ab'), 132);
    expect(Buffer.from(peeked.head).toString()).toBe('ab');
    expect(await text(peeked.source)).toBe('ab');
    expect((await peek(source(), 132)).head).toHaveLength(0);
  });
});

describe('UploadMeter', () => {
  it('counts over all files of a request', async () => {
    const meter = new UploadMeter(10);
    expect(await text(meter.measure(source('12345')))).toBe('12345');
    await expect(exhaust(meter.measure(source('123', '456')))).rejects.toMatchObject({ code: 'payload-too-large' });
  });

  it('refuses what is announced too large, and waits when nothing is announced', () => {
    const meter = new UploadMeter(10);
    expect(() => { meter.announce('11'); }).toThrow(expect.objectContaining({ code: 'payload-too-large' }));
    expect(() => { meter.announce('10'); meter.announce(undefined); }).not.toThrow();
  });
});
