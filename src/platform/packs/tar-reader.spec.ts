import { describe, expect, it } from 'vitest';
import { tarFiles } from './tar-reader.js';

function entry(name: string, content: string, { type = '0', prefix = '' } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  header.write(prefix, 345);
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body]);
}

/** In pieces of some bytes, which respect no border. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function readBytes(bytes: Buffer, size = 100): Promise<[string, string][]> {
  const files: [string, string][] = [];
  for await (const { path, content } of tarFiles(pieces(bytes, size))) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    files.push([path, Buffer.concat(parts).toString()]);
  }
  return files;
}

function read(...entries: Buffer[]): Promise<[string, string][]> {
  return readBytes(Buffer.concat([...entries, Buffer.alloc(1024)]));
}

describe('a tar archive', () => {
  it('gives its files, with long names by prefix and by extended header', async () => {
    expect(await read(entry('pack/', '', { type: '5' }), entry('manifest.json', '{}', { prefix: 'pack' }), entry('x', '18 path=pack/long\n', { type: 'x' }), entry('short', 'abc')))
      .toEqual([['pack/manifest.json', '{}'], ['pack/long', 'abc']]);
  });

  it('passes over what its reader leaves', async () => {
    const names: string[] = [];
    for await (const { path, content } of tarFiles(pieces(Buffer.concat([entry('a', 'x'.repeat(2000)), entry('b', 'y'), Buffer.alloc(1024)]), 333))) {
      names.push(path);
      for await (const part of content) if (part.length > 0) break;
    }
    expect(names).toEqual(['a', 'b']);
  });

  it.each(['../up', '/etc/passwd', 'a/../../b', 'a\\b'])('refuses the path %s', async (path) => {
    await expect(read(entry(path, 'x'))).rejects.toMatchObject({ code: 'unsafe-archive-path' });
  });

  it('refuses links', async () => {
    await expect(read(entry('link', '', { type: '2' }))).rejects.toMatchObject({ code: 'unsafe-archive-path' });
  });

  it('refuses a damaged header', async () => {
    const damaged = entry('file', 'x');
    damaged.writeUInt8(65, 3);
    await expect(read(damaged)).rejects.toMatchObject({ code: 'invalid-archive' });
  });

  it('refuses an archive that ends within a file or a header, and an empty one', async () => {
    for (const length of [0, 100, 700]) await expect(readBytes(entry('file', 'x'.repeat(900)).subarray(0, length))).rejects.toMatchObject({ code: 'truncated-file' });
  });

  it('gives no file whose size is not a number', async () => {
    const strange = entry('file', 'x');
    strange.write('9'.repeat(11), 124);
    await expect(read(strange)).rejects.toMatchObject({ code: 'invalid-archive' });
  });
});
