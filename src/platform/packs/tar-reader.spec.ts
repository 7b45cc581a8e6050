import { describe, expect, it } from 'vitest';
import { tarEntries } from './tarball.js';

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

function read(...entries: Buffer[]): [string, string][] {
  return [...tarEntries(Buffer.concat([...entries, Buffer.alloc(1024)]))].map(({ path, content }) => [path, content.toString()]);
}

describe('a tar archive', () => {
  it('gives its files, with long names by prefix and by extended header', () => {
    expect(read(entry('pack/', '', { type: '5' }), entry('manifest.json', '{}', { prefix: 'pack' }), entry('x', '18 path=pack/long\n', { type: 'x' }), entry('short', 'abc')))
      .toEqual([['pack/manifest.json', '{}'], ['pack/long', 'abc']]);
  });

  it.each(['../up', '/etc/passwd', 'a/../../b', 'a\\b'])('refuses the path %s', (path) => {
    expect(() => read(entry(path, 'x'))).toThrow(expect.objectContaining({ code: 'unsafe-archive-path' }) as Error);
  });

  it('refuses links', () => {
    expect(() => read(entry('link', '', { type: '2' }))).toThrow(expect.objectContaining({ code: 'unsafe-archive-path' }) as Error);
  });

  it('refuses a damaged header', () => {
    const damaged = entry('file', 'x');
    damaged.writeUInt8(65, 3);
    expect(() => read(damaged)).toThrow(expect.objectContaining({ code: 'invalid-archive' }) as Error);
  });
});
