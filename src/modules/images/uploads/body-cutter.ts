import { AppError } from '../../../kernel/errors.js';
import type { ByteSource } from '../byte-source.js';

export interface Cut {
  /** A piece is cut when it has at least this many bytes, */
  bytes: number;
  /** or when it has been coming in for so long, so that a slow client loses little when the connection breaks. */
  milliseconds: number;
}

/** Cuts the body of a request into pieces that become durable one by one. */
export class BodyCutter {
  private readonly body: AsyncIterator<Uint8Array>;
  private bytes = 0;
  private hasEnded = false;
  private reason: Error | undefined;

  /**
   * @param limitBytes  what the body may hold in all
   * @param cut  undefined: one piece
   */
  constructor(
    body: ByteSource,
    private readonly limitBytes: number,
    private readonly cut?: Cut,
    private readonly now: () => number = Date.now,
  ) {
    this.body = body[Symbol.asyncIterator]();
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.hasEnded;
  }

  /** Why the body broke off; undefined when it came to its end. */
  get broken(): Error | undefined {
    return this.reason;
  }

  /**
   * The next piece. A body that breaks off ends it like any other: what came until then is good.
   *
   * @throws AppError `payload-too-large` when more comes than may; then nothing of this piece is good
   */
  async *piece(): AsyncGenerator<Uint8Array> {
    const until = this.now() + (this.cut?.milliseconds ?? Infinity);
    for (let bytes = 0; bytes < (this.cut?.bytes ?? Infinity) && this.now() < until;) {
      const chunk = await this.next();
      if (chunk === undefined) return;
      this.bytes += chunk.byteLength;
      if (this.bytes > this.limitBytes) throw new AppError('payload-too-large', { detail: `More bytes came than the upload has room for (${String(this.limitBytes)} from here on).` });
      bytes += chunk.byteLength;
      yield chunk;
    }
  }

  private async next(): Promise<Uint8Array | undefined> {
    if (this.hasEnded) return undefined;
    try {
      const step = await this.body.next();
      if (step.done !== true) return step.value;
    } catch (error) {
      this.reason = error instanceof Error ? error : new Error('The body broke off.', { cause: error });
    }
    this.hasEnded = true;
    return undefined;
  }
}
