import { addAbortSignal, Readable, type PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ZipFile } from 'yazl';

/** A ZIP that is read while it is written, one entry after the other. */
export class StreamedZip {
  private readonly zip = new ZipFile();
  private readonly abandoned = new AbortController();
  private broken = false;

  constructor() {
    this.zip.on('error', (error: unknown) => { this.destroy(error); });
    // The client has all of it, or has gone.
    this.output.once('close', () => { this.abandoned.abort(); });
  }

  get output(): PassThrough {
    // yazl makes one, and declares less.
    return this.zip.outputStream as PassThrough;
  }

  get isAbandoned(): boolean {
    return this.abandoned.signal.aborted;
  }

  /** An entry was begun and not finished. */
  get isBroken(): boolean {
    return this.broken;
  }

  /**
   * Adds an entry and waits until it has been read. Not compressed: pixels mostly are.
   *
   * @param size  of the content in bytes, where it is known: decides on ZIP64
   */
  async add(name: string, size: number | undefined, content: AsyncGenerator<Uint8Array>): Promise<void> {
    const source = addAbortSignal(this.abandoned.signal, Readable.from(content, { objectMode: false }));
    this.broken = true;
    this.zip.addReadStream(source, name, { ...(size !== undefined && { size }), compress: false });
    await finished(source);
    this.broken = false;
  }

  end(name: string, content: Buffer): void {
    this.zip.addBuffer(content, name);
    this.zip.end();
  }

  destroy(error: unknown): void {
    this.output.destroy(error instanceof Error ? error : undefined);
  }
}
