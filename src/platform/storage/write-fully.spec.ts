import { describe, expect, it } from 'vitest';
import { writeFully, type PositionalWriter } from './write-fully.js';

/** Takes at most `most` bytes a call; `room` bytes in all, and answers as `full` does beyond. */
function shortWriter(most: number, { room = Infinity, full = (): number => 0 } = {}): PositionalWriter & { file: number[]; calls: number } {
  const writer = {
    file: [] as number[],
    calls: 0,
    writev(chunks: readonly Uint8Array[], position: number): Promise<number> {
      writer.calls++;
      const bytes = Buffer.concat(chunks).subarray(0, Math.min(most, room - writer.file.length));
      if (bytes.length === 0) return new Promise((resolve) => { resolve(full()); });
      bytes.forEach((byte, n) => { writer.file[position + n] = byte; });
      return Promise.resolve(bytes.length);
    },
  };
  return writer;
}

describe('writeFully', () => {
  it.each([[1, 9], [2, 5], [3, 4], [5, 3], [100, 2]])('asks again until all is written, each piece where it belongs, when %i bytes are taken at once', async (most, calls) => {
    const writer = shortWriter(most);
    await writeFully(writer, [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3, 4, 5, 6), Uint8Array.of(7)], 0);
    await writeFully(writer, [Uint8Array.of(8, 9)], 7);
    expect(writer.file).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(writer.calls).toBe(calls);
  });

  it('asks nothing for no bytes', async () => {
    const writer = shortWriter(3);
    await writeFully(writer, [new Uint8Array(0)], 5);
    expect(writer.calls).toBe(0);
  });

  it('gives the reason that the next call tells when the disk fills within a chunk', async () => {
    const full = (): never => { throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }); };
    await expect(writeFully(shortWriter(100, { room: 4, full }), [new Uint8Array(10)], 0)).rejects.toMatchObject({ code: 'ENOSPC', message: 'no space left on device' });
  });

  it('ends when nothing is taken and no reason given', async () => {
    await expect(writeFully(shortWriter(100, { room: 4 }), [new Uint8Array(10)], 0)).rejects.toMatchObject({ code: 'ENOSPC' });
  });
});
