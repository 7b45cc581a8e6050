import { Readable } from 'node:stream';
import { AppError } from '../../kernel/errors.js';

export type ByteSource = AsyncIterable<Uint8Array>;

/** The first bytes of a source, and the source as if nobody had looked. */
export interface Peeked {
  /** `length` bytes, fewer when the source is shorter. */
  head: Uint8Array;
  source: ByteSource;
}

/** Reads ahead until `length` bytes are known. `source` must not be read otherwise any more. */
export async function peek(source: ByteSource, length: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let held = 0;
  while (held < length) {
    const step = await iterator.next();
    if (step.done === true) break;
    chunks.push(step.value);
    held += step.value.byteLength;
  }
  return { head: Buffer.concat(chunks).subarray(0, length), source: replay(chunks, iterator) };
}

async function* replay(chunks: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) yield chunk;
  for (let step = await rest.next(); step.done !== true; step = await rest.next()) yield step.value;
}

/** Counts the bytes of one request. */
export class UploadMeter {
  private bytes = 0;

  constructor(private readonly limitBytes: number) {}

  /** @throws AppError `payload-too-large` when the client announces more than is allowed */
  announce(contentLength: string | undefined): void {
    if (contentLength !== undefined && Number(contentLength) > this.limitBytes) throw this.tooLarge();
  }

  /** Passes `source` on. @throws AppError `payload-too-large` as soon as the request exceeds the limit */
  async *measure(source: ByteSource): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.count(chunk.byteLength);
      yield chunk;
    }
  }

  /** @throws AppError `payload-too-large` as soon as the request exceeds the limit */
  count(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.limitBytes) throw this.tooLarge();
  }

  private tooLarge(): AppError {
    return new AppError('payload-too-large', { detail: `A request may carry ${String(this.limitBytes)} bytes.` });
  }
}

/** Something in memory as a source. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  return Readable.from([bytes]);
}

/** Reads a source to its end and forgets it. */
export async function exhaust(source: AsyncIterator<Uint8Array>): Promise<void> {
  for (let step = await source.next(); step.done !== true; step = await source.next());
}
