import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../kernel/errors.js';
import { within } from './draft-file.js';
import type { ByteRange, ObjectReader } from './object-store.js';
import { s3Error } from './s3-error.js';

/** Comes with the opening, in one round trip: most images are smaller, and of a large one it holds the header. */
const FIRST_BYTES = 1024 * 1024;
/** Of a reader that goes on where it stopped, the stretch behind is fetched while it works on this one. */
const AHEAD_BYTES = 4 * 1024 * 1024;
/** Reads one behind the other before anything is fetched ahead: the header and one frame are two of them. */
const READS_IN_ORDER = 3;
/** The SDK tries again until the answer begins; from there on we do. */
const BODY_ATTEMPTS = 3;

interface Stretch extends ByteRange {
  bytes: Promise<Buffer>;
}

/**
 * An object read by ranges, all of them of the version that was opened: when its key is deleted meanwhile, what has not been
 * fetched is `blob-missing`, and when it is overwritten no byte of the other version is given.
 */
export class S3Reader implements ObjectReader {
  private readonly aborter = new AbortController();
  private ahead: Stretch | undefined;
  private expected = 0;
  private inOrder = 0;

  private constructor(
    private readonly fetch: (range: ByteRange, signal: AbortSignal) => Promise<Buffer>,
    readonly sizeBytes: number,
    private current: Stretch,
  ) {}

  /** @throws AppError `blob-missing`, `storage-unavailable` */
  static async open(client: S3Client, bucket: string, key: string): Promise<S3Reader> {
    const first = await openObject(client, bucket, key);
    const fetch = (range: ByteRange, signal: AbortSignal): Promise<Buffer> => fetchRange(client, { bucket, key, etag: first.etag, range, signal });
    return new S3Reader(fetch, first.sizeBytes, { offset: 0, length: first.bytes.length, bytes: Promise.resolve(first.bytes) });
  }

  async read(wanted: ByteRange): Promise<Uint8Array> {
    const { offset, length } = within(wanted, this.sizeBytes);
    if (length === 0) return new Uint8Array(0);
    const end = offset + length;
    this.inOrder = offset === this.expected ? this.inOrder + 1 : 0;
    this.expected = end;
    const pieces: Buffer[] = [];
    for (let at = offset; at < end;) {
      const stretch = this.stretchAt(at, end - at);
      const bytes = await stretch.bytes;
      const piece = bytes.subarray(at - stretch.offset, end - stretch.offset);
      pieces.push(piece);
      at += piece.length;
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }

  close(): Promise<void> {
    this.aborter.abort();
    this.ahead = undefined;
    return Promise.resolve();
  }

  /** The stretch that holds the byte `at`; what has to be fetched for it is `missing` bytes long at least, if there are so many. */
  private stretchAt(at: number, missing: number): Stretch {
    const streaming = this.inOrder >= READS_IN_ORDER;
    if (this.ahead && holds(this.ahead, at)) {
      this.current = this.ahead;
      this.ahead = undefined;
    } else if (!holds(this.current, at)) {
      this.ahead = undefined;
      this.current = this.begin(at, streaming ? Math.max(missing, AHEAD_BYTES) : missing);
    }
    const end = this.current.offset + this.current.length;
    if (streaming && !this.ahead && end < this.sizeBytes) this.ahead = this.begin(end, AHEAD_BYTES);
    return this.current;
  }

  private begin(offset: number, length: number): Stretch {
    const range = within({ offset, length }, this.sizeBytes);
    const stretch = { ...range, bytes: this.fetch(range, this.aborter.signal) };
    // Who reads it hears of the failure, and who reads again asks again.
    stretch.bytes.catch(() => {
      if (this.ahead === stretch) this.ahead = undefined;
      if (this.current === stretch) this.current = { offset: 0, length: 0, bytes: Promise.resolve(Buffer.alloc(0)) };
    });
    return stretch;
  }
}

function holds({ offset, length }: ByteRange, at: number): boolean {
  return at >= offset && at < offset + length;
}

/** The first stretch, and what else the answer says of the object. @throws AppError `blob-missing`, `storage-unavailable` */
async function openObject(client: S3Client, bucket: string, key: string): Promise<{ bytes: Buffer; sizeBytes: number; etag: string | undefined }> {
  for (let attempt = 1; ; attempt++) {
    let answer: GetObjectCommandOutput;
    try {
      answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=0-${String(FIRST_BYTES - 1)}` }));
    } catch (error) {
      // Not even the first byte of an empty object can be asked for.
      if (error instanceof Error && error.name === 'InvalidRange') return { bytes: Buffer.alloc(0), sizeBytes: 0, etag: undefined };
      throw s3Error(error);
    }
    const sizeBytes = answer.ContentRange === undefined ? (answer.ContentLength ?? 0) : rangeOf(answer).total;
    try {
      return { bytes: await collect(answer, Math.min(sizeBytes, FIRST_BYTES)), sizeBytes, etag: answer.ETag };
    } catch (error) {
      if (attempt === BODY_ATTEMPTS) throw s3Error(error);
    }
  }
}

interface RangeRequest {
  bucket: string;
  key: string;
  etag: string | undefined;
  range: ByteRange;
  signal: AbortSignal;
}

/** @throws AppError `blob-missing`, `storage-unavailable` */
async function fetchRange(client: S3Client, { bucket, key, etag, range, signal }: RangeRequest): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    let answer: GetObjectCommandOutput;
    try {
      answer = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${String(range.offset)}-${String(range.offset + range.length - 1)}`, ...(etag !== undefined && { IfMatch: etag }) }),
        { abortSignal: signal },
      );
    } catch (error) {
      throw s3Error(error);
    }
    // A server that does not heed If-Match gives itself away here; one that does not heed ranges, too.
    if (answer.ETag !== etag) throw new AppError('blob-missing', { detail: 'The object was replaced while it was read.' });
    if (rangeOf(answer).start !== range.offset) throw new AppError('storage-unavailable', { detail: 'The storage answered with another range than was asked for.' });
    try {
      return await collect(answer, range.length, signal);
    } catch (error) {
      if (attempt === BODY_ATTEMPTS || signal.aborted) throw s3Error(error);
    }
  }
}

/** @throws AppError `storage-unavailable` */
function rangeOf({ ContentRange }: GetObjectCommandOutput): { start: number; total: number } {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(ContentRange ?? '') ?? [];
  if (start === undefined || total === undefined) throw new AppError('storage-unavailable', { detail: 'The storage does not serve ranges.' });
  return { start: Number(start), total: Number(total) };
}

/** The first `length` bytes of a body. Throws what the connection does, and when they are fewer. */
async function collect({ Body, ContentLength }: GetObjectCommandOutput, length: number, signal?: AbortSignal): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  // In Node.js the body is a stream of buffers; the SDK's type covers browsers as well.
  const body = Body as AsyncIterable<Uint8Array> & { destroy(): void };
  const stop = (): void => { body.destroy(); };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (length > 0) {
      for await (const chunk of body) {
        bytes.set(chunk.subarray(0, length - filled), filled);
        filled = Math.min(length, filled + chunk.byteLength);
        // Read to its end, a body gives its connection back; left early, it ends the connection.
        if (filled === length && ContentLength !== length) break;
      }
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    if (filled < length || length === 0) stop();
  }
  if (filled < length) throw new Error('The body ended early.');
  return bytes;
}
