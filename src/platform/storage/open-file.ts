import { closeSync, fdatasync, fstatSync, fsync, open, read, writev } from 'node:fs';
import { promisify } from 'node:util';
import type { ByteRange } from './object-store.js';
import type { PositionalWriter } from './write-fully.js';

const openFile = promisify(open);
const readBytes = promisify(read);
const writeChunks = promisify(writev);
const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

/**
 * A file on disk. Its size and its closing are answered out of the kernel's memory and taken at once: a detour over the thread
 * pool, as `FileHandle` makes it, costs more than reading a small image. What was written must be synced before it is closed.
 *
 * All methods throw as the file system does.
 */
export class OpenFile implements PositionalWriter {
  private inUse = 0;
  private isClosed = false;

  private constructor(private readonly fd: number) {}

  /** @param flags  as `fs.open` takes them */
  static async open(path: string, flags: string, mode?: number): Promise<OpenFile> {
    return new OpenFile(await openFile(path, flags, mode));
  }

  get sizeBytes(): number {
    this.assertOpen();
    return fstatSync(this.fd).size;
  }

  /**
   * Fewer bytes only at the end of the file.
   *
   * @param bytes  where they go, of at least that length
   */
  read({ offset, length }: ByteRange, bytes: Uint8Array = Buffer.allocUnsafe(length)): Promise<Uint8Array> {
    return this.using(async () => {
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await readBytes(this.fd, bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  /** May take only the first of the bytes: `writeFully` asks again. */
  writev(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return this.using(async () => (await writeChunks(this.fd, chunks, position)).bytesWritten);
  }

  /** Makes the bytes durable. */
  datasync(): Promise<void> {
    return this.using(() => syncData(this.fd));
  }

  /** Makes the bytes and what is known of them durable; of a folder, its names. */
  sync(): Promise<void> {
    return this.using(() => syncAll(this.fd));
  }

  /** Takes effect when what is under way has ended: until then the number of the file must not pass to another. Harmless a second time. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.inUse === 0) closeSync(this.fd);
  }

  private async using<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    this.inUse++;
    try {
      return await work();
    } finally {
      this.inUse--;
      if (this.isClosed && this.inUse === 0) closeSync(this.fd);
    }
  }

  private assertOpen(): void {
    if (this.isClosed) throw Object.assign(new Error('The file is closed'), { code: 'EBADF' });
  }
}
