import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { contentRange, requestedStretch } from './byte-range.js';
import { InstanceDamage } from './instance-damage.js';
import { MultipartBody, type Chunks } from './multipart-body.js';
import { coalesced, preparedAhead, type Closable } from './read-ahead.js';
import { RetrievalStore, type InstanceScope, type RetrievalScope, type RetrievedInstance } from './retrieval.store.js';
import { chooseSyntax, DICOM, type InstancesSelection } from './selection.js';
import { StoredFiles } from './stored-files.js';
import type { Answer } from './stream-answer.js';
import { TranscodingService, type PreparedFile } from './transcoding.service.js';

/** A page is what the length of a body can be told of: most studies are shorter. */
const PAGE = 1000;
/** Bytes of instances that are opened, and of frames that are converted, before their turn. */
const AHEAD_BYTES = 4 << 20;
/** What an open file takes, however small. */
const LEAST_WEIGHT = 1 << 20;
/** A converted frame is in memory several times: coded, decoded, in the thread and here. */
const CONVERSION_FACTOR = 4;
/** A write that is worth its price. */
const LEAST_WRITE_BYTES = 128 * 1024;

type Choice = NonNullable<ReturnType<typeof chooseSyntax>>;

/** What a client says of what it has already. */
export interface Conditions {
  /** Whether the client has this version. */
  has: (etag: string) => boolean;
  range: string | undefined;
  ifRange: string | undefined;
}

/** 304. */
export interface NotModified {
  etag: string;
}

interface Part extends Closable {
  row: RetrievedInstance;
  /** undefined when the instance is left out. */
  file: PreparedFile | undefined;
}

/** How the instances of a resource are sent. */
interface Delivery {
  /** The first page of them. */
  first: readonly RetrievedInstance[];
  ranks: InstancesSelection['ranks'];
  isOnly: boolean;
  /** The length of the body was told. */
  isAnnounced: boolean;
}

/** Instances as DICOM files. @see PS3.18 §10.4 */
@Injectable()
export class RetrieveService {
  constructor(
    private readonly store: RetrievalStore,
    private readonly files: StoredFiles,
    private readonly transcoding: TranscodingService,
    private readonly damage: InstanceDamage,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * All instances of a resource in one multipart body, which is made while it is sent. Instances that cannot be had in an
   * acceptable transfer syntax are left out, and the answer is 206 then.
   *
   * @throws AppError `study-not-found`, `series-not-found`, `instance-not-found`; `not-acceptable` when none is left
   * @see PS3.18 §10.4.3
   */
  async all(scope: RetrievalScope, { ranks }: InstancesSelection): Promise<Answer> {
    const first = await this.store.page(scope, { after: undefined, limit: PAGE });
    if (first.length === 0) await this.store.explainMissing(scope);
    const kinds = first.length < PAGE ? first : await this.store.syntaxes(scope);
    const choices = kinds.map((kind) => chosen(kind, ranks));
    if (choices.every((choice) => choice === undefined)) throw new AppError('not-acceptable', { detail: 'No instance can be sent in an accepted transfer syntax.' });
    const body = new MultipartBody(DICOM);
    // With one instance alone there is nothing else that a failure would keep away.
    const isOnly = scope.sopInstanceUid !== undefined;
    const length = first.length < PAGE && !isOnly ? announced(first, ranks, body) : undefined;
    return {
      status: choices.includes(undefined) ? 206 : 200,
      headers: { 'Content-Type': body.contentType, ...(length !== undefined && { 'Content-Length': String(length) }) },
      body: coalesced(this.parts(scope, { first, ranks, isOnly, isAnnounced: length !== undefined }, body), LEAST_WRITE_BYTES),
    };
  }

  /**
   * One instance alone. The bytes that were sent come with a strong ETag and in stretches.
   *
   * @throws AppError `not-acceptable`, `range-not-satisfiable`; as `RetrievalStore.instance` does
   */
  async one(scope: InstanceScope, { ranks }: InstancesSelection, { has, range, ifRange }: Conditions): Promise<Answer | NotModified> {
    const row = await this.store.instance(scope);
    const choice = chosen(row, ranks);
    if (choice === undefined) throw new AppError('not-acceptable', { detail: 'The instance cannot be sent in an accepted transfer syntax.' });
    const etag = choice.asStored ? `"${row.sha256}"` : `W/"${row.sha256}-${choice.transferSyntaxUid}"`;
    if (has(etag)) return { etag };
    const headers = { 'Content-Type': contentTypeOf(choice.transferSyntaxUid), 'ETag': etag };
    return this.damage.naming(row, async () => {
      const stretch = choice.asStored && range !== undefined && (await this.files.isPart10(row)) ? requestedStretch(range, row.sizeBytes, { ifRange, etag }) : undefined;
      if (stretch !== undefined) {
        const body = this.damage.namingIn(row, await this.files.stretch(row, stretch));
        return { status: 206, headers: { ...headers, 'Content-Range': contentRange(stretch, row.sizeBytes), 'Content-Length': String(stretch.length) }, body };
      }
      const file = await this.open(row, choice);
      const length = file.sizeBytes === undefined ? {} : { 'Content-Length': String(file.sizeBytes) };
      return { status: 200, headers: { ...headers, ...(choice.asStored && { 'Accept-Ranges': 'bytes' }), ...length }, body: coalesced(this.damage.namingIn(row, sent(file)), LEAST_WRITE_BYTES) };
    });
  }

  private async *parts(scope: RetrievalScope, how: Delivery, body: MultipartBody): AsyncGenerator<Chunks> {
    for await (const { row, file } of preparedAhead(this.rows(scope, how.first), (one) => this.part(one, how), { budget: AHEAD_BYTES, weigh: (one) => weightOf(one, how.ranks) })) {
      if (file === undefined) continue;
      try {
        yield [body.head({ contentType: contentTypeOf(file.transferSyntaxUid) })];
        yield* this.damage.namingIn(row, file.chunks());
      } finally {
        await file.close();
      }
    }
    yield [body.end()];
  }

  private async part(row: RetrievedInstance, { ranks, isOnly, isAnnounced }: Delivery): Promise<Part> {
    const choice = chosen(row, ranks);
    const file = choice && (await this.damage.naming(row, () => this.open(row, choice, isAnnounced).catch((error: unknown) => this.otherwise(row, error, isOnly))));
    return { row, file, close: async () => { await file?.close(); } };
  }

  private async otherwise(row: RetrievedInstance, error: unknown, isOnly: boolean): Promise<PreparedFile | undefined> {
    if (!(error instanceof AppError) || isOnly) throw error;
    // Replaced or removed meanwhile; what took its place comes later.
    if (error.code === 'instance-not-found') return undefined;
    if (error.code !== 'not-acceptable') throw error;
    // A damaged image must neither keep the rest of the study away nor vanish from it without a word.
    this.logger.warn({ err: error, instanceId: row.id }, 'an instance could not be converted and is sent as it is stored');
    return this.files.prepare(row);
  }

  private open(row: RetrievedInstance, { asStored, transferSyntaxUid }: Choice, asAnnounced = false): Promise<PreparedFile> {
    return asStored ? this.files.prepare(row, { asAnnounced }) : this.transcoding.prepare(row, transferSyntaxUid);
  }

  private async *rows(scope: RetrievalScope, first: readonly RetrievedInstance[]): AsyncGenerator<RetrievedInstance> {
    for (let page = first; ;) {
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      page = await this.store.page(scope, { after: last.id, limit: PAGE });
    }
  }
}

function chosen({ transferSyntaxUid, encoding, hasPixels }: Pick<RetrievedInstance, 'transferSyntaxUid' | 'encoding' | 'hasPixels'>, ranks: InstancesSelection['ranks']): Choice | undefined {
  return chooseSyntax({ transferSyntaxUid, hasPixels, isSound: encoding.explicit && encoding.littleEndian }, ranks);
}

/** Of stored files only their beginning is read ahead. */
function weightOf(row: RetrievedInstance, ranks: InstancesSelection['ranks']): number {
  if (chosen(row, ranks)?.asStored === true) return LEAST_WEIGHT;
  const frameBytes = (row.rows ?? 0) * (row.columns ?? 0) * 2;
  return Math.max(LEAST_WEIGHT, CONVERSION_FACTOR * frameBytes);
}

/** Bytes of a body of stored files; undefined when others are among them, whose length comes out only when they are made. */
function announced(rows: readonly RetrievedInstance[], ranks: InstancesSelection['ranks'], body: MultipartBody): number | undefined {
  const parts: { head: { contentType: string }; bytes: number }[] = [];
  for (const row of rows) {
    const choice = chosen(row, ranks);
    if (choice === undefined) continue;
    if (!choice.asStored || row.isBare) return undefined;
    parts.push({ head: { contentType: contentTypeOf(choice.transferSyntaxUid) }, bytes: row.sizeBytes });
  }
  return body.lengthOf(parts);
}

function contentTypeOf(transferSyntaxUid: string): string {
  return `${DICOM}; transfer-syntax=${transferSyntaxUid}`;
}

/** A file to its end; it is closed however that comes. */
async function* sent(file: PreparedFile): AsyncGenerator<Chunks> {
  try {
    yield* file.chunks();
  } finally {
    await file.close();
  }
}
