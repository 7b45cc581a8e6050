import { randomUUID } from 'node:crypto';

/** Pieces of a body that are written together. */
export type Chunks = readonly Uint8Array[];

/** A part of a multipart body, before its bytes. */
export interface PartHead {
  /** With its parameters. */
  contentType: string;
  contentLocation?: string;
  contentRange?: string;
}

/**
 * Writes what stands between the parts of a multipart/related body.
 *
 * @see RFC 2387, RFC 2046 §5.1.1, PS3.18 §8.6.1.2
 */
export class MultipartBody {
  readonly contentType: string;
  private readonly boundary = randomUUID();
  private isFirst = true;

  /** @param type  media type of the parts */
  constructor(type: string) {
    this.contentType = `multipart/related; type="${type}"; boundary=${this.boundary}`;
  }

  /** Ends the part before and begins one. */
  head({ contentType, contentLocation, contentRange }: PartHead): Uint8Array {
    const lines = [
      `${this.isFirst ? '' : '\r\n'}--${this.boundary}`,
      `Content-Type: ${contentType}`,
      ...(contentLocation === undefined ? [] : [`Content-Location: ${contentLocation}`]),
      ...(contentRange === undefined ? [] : [`Content-Range: ${contentRange}`]),
      '', '',
    ];
    this.isFirst = false;
    return Buffer.from(lines.join('\r\n'), 'latin1');
  }

  /** Bytes of a body whose parts are known beforehand. Nothing has been written yet. */
  lengthOf(parts: readonly { head: PartHead; bytes: number }[]): number {
    const measured = new MultipartBody('');
    // A boundary has the same length always.
    const between = parts.reduce((sum, { head, bytes }) => sum + measured.head(head).length + bytes, 0);
    return between + measured.end().length;
  }

  end(): Uint8Array {
    return Buffer.from(`${this.isFirst ? '' : '\r\n'}--${this.boundary}--\r\n`, 'latin1');
  }
}

/** A body whose first piece was made to see whether there is one. Whoever leaves it early, were it at that piece, ends `rest` too. */
export async function* resumed(first: Chunks, rest: AsyncGenerator<Chunks>, body: MultipartBody): AsyncGenerator<Chunks> {
  try {
    yield first;
    yield* rest;
    yield [body.end()];
  } finally {
    await rest.return(undefined);
  }
}
