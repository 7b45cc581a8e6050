import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { isDicomUidAsFound } from '../../../kernel/uid.js';
import { noteOnSpan, SpanKind, withSpan } from '../../../platform/ops/tracing.js';
import { exhaust, UploadMeter, type ByteSource } from '../byte-source.js';
import type { Fate } from '../fate.js';
import type { IngestTarget } from '../ingest.service.js';
import { verified } from './data-set-identity.js';
import { fileHead, type FileHead } from './file-head.js';
import { ConnectionLost, LONGEST_PDU_BYTES } from './protocol.js';
import { answerToError, answerToFate, STATUS, type StoreAnswer } from './store-status.js';

/** Read ahead of the ingest. */
const READ_AHEAD_BYTES = 512 * 1024;

export interface StoreTarget extends FileHead {
  /** Of the presentation context. */
  abstractSyntaxUid: string;
  maxObjectBytes: number;
}

export interface StorePorts {
  ingest(source: ByteSource, target: IngestTarget): Promise<Fate>;
  /** Whose images the caller sends. @throws AppError `forbidden` when it may send no more */
  institutionId(): Promise<string>;
  /** For what went wrong with us. */
  failed(error: unknown): void;
}

/** One C-STORE from its first fragment on: the data set flows into the ingest as it arrives, byte by byte as it was sent. */
export class StoreOperation {
  /** For the library. It takes everything at once and never asks for patience: that is `ready`'s part. */
  readonly sink: Writable;
  /** Never rejects. Waits for the end of the data set, even when the instance is refused at its beginning. */
  readonly answer: Promise<StoreAnswer>;
  private readonly body = new PassThrough({ readableHighWaterMark: READ_AHEAD_BYTES, writableHighWaterMark: READ_AHEAD_BYTES });

  constructor(target: StoreTarget, ports: StorePorts) {
    const { body } = this;
    body.on('error', () => undefined);
    this.sink = new Writable({
      highWaterMark: 2 * LONGEST_PDU_BYTES,
      write: (chunk: Buffer, _encoding, done) => {
        body.write(chunk);
        done();
      },
      final: (done) => {
        body.end();
        done();
      },
    });
    this.answer = this.store(target, ports);
  }

  /** Resolves when the next fragment may come. @throws ConnectionLost after `cut` */
  async ready(): Promise<void> {
    if (this.body.writableNeedDrain) await once(this.body, 'drain');
  }

  /** The sender is gone: what came is not the whole. Nothing happens when it was. */
  cut(): void {
    if (!this.body.writableEnded) this.body.destroy(new ConnectionLost());
  }

  private async store(target: StoreTarget, ports: StorePorts): Promise<StoreAnswer> {
    // Kept apart from the ingest's loop, which closes what it stops reading: the rest has to be read off the wire.
    // A stream of bytes gives buffers.
    const chunks = this.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const answer = await withSpan('C-STORE', {}, async () => {
      const decided = await this.decide(target, ports, chunks);
      noteOnSpan({ 'healthvision.dimse.status': decided.status });
      return decided;
    }, SpanKind.SERVER);
    await exhaust(chunks).catch(() => undefined);
    return answer;
  }

  private async decide(target: StoreTarget, ports: StorePorts, chunks: AsyncIterator<Uint8Array>): Promise<StoreAnswer> {
    const { sopClassUid, sopInstanceUid, abstractSyntaxUid } = target;
    if (sopClassUid !== abstractSyntaxUid) return { status: STATUS.sopClassNotSupported, comment: 'The SOP class is not that of the presentation context' };
    if (!isDicomUidAsFound(sopInstanceUid)) return { status: STATUS.cannotUnderstand, comment: 'The Affected SOP Instance UID is not a UID' };
    try {
      const institutionId = await ports.institutionId();
      const file = fileOf(target, verified(restOf(chunks), target.transferSyntaxUid, target));
      return answerToFate(await ports.ingest(new UploadMeter(target.maxObjectBytes).measure(file), { institutionId }));
    } catch (error) {
      if (!(error instanceof ConnectionLost)) ports.failed(error);
      return answerToError(error);
    }
  }
}

async function* fileOf(head: FileHead, dataSet: ByteSource): AsyncGenerator<Uint8Array> {
  yield fileHead(head);
  yield* dataSet;
}

async function* restOf(chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let step = await chunks.next(); step.done !== true; step = await chunks.next()) yield step.value;
}
