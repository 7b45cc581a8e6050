import { describe, expect, it } from 'vitest';
import { writeFully, type PositionalWriter } from './write-fully.js';

/** Takes at most `most` bytes a call; `room` bytes in all, and answers as `full` does beyond. */
function shortWriter(most: number, { room = Infinity, full = (): number => 0 } = {}): PositionalWriter & { file: number[]; calls: number } {
  const writer = {
    file: [] as number[],
    calls: 0,
    write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
      writer.calls++;
      const bytesWritten = Math.min(most, length, room - writer.file.length);
      if (bytesWritten === 0) return new Promise((resolve) => { resolve({ bytesWritten: full() }); });
      for (let n = 0; n < bytesWritten; n++) writer.file[position + n] = bytes[offset + n] ?? -1;
      return Promise.resolve({ bytesWritten });
    },
  };
  return writer;
}

describe('writeFully', () => {
  it('asks again until the whole chunk is written, each piece where it belongs', async () => {
    const writer = shortWriter(3);
    await writeFully(writer, Uint8Array.of(1, 2, 3, 4, 5, 6, 7), 0);
    await writeFully(writer, Uint8Array.of(8, 9), 7);
    expect(writer.file).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(writer.calls).toBe(4);
  });

  it('asks nothing for an empty chunk', async () => {
    const writer = shortWriter(3);
    await writeFully(writer, new Uint8Array(0), 5);
    expect(writer.calls).toBe(0);
  });

  it('gives the reason that the next call tells when the disk fills within a chunk', async () => {
    const full = (): never => { throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }); };
    await expect(writeFully(shortWriter(100, { room: 4, full }), new Uint8Array(10), 0)).rejects.toMatchObject({ code: 'ENOSPC', message: 'no space left on device' });
  });

  it('ends when nothing is taken and no reason given', async () => {
    await expect(writeFully(shortWriter(100, { room: 4 }), new Uint8Array(10), 0)).rejects.toMatchObject({ code: 'ENOSPC' });
  });
});
