import { Injectable } from '@nestjs/common';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { etagOf } from '../../../platform/http/representation.js';
import { BULK_DATA_PREFIX } from '../instance-layout.js';
import { openJson, sealContext } from '../sealed-json.js';
import { InstanceDamage } from './instance-damage.js';
import type { Chunks } from './multipart-body.js';
import type { Conditions, NotModified } from './retrieve.service.js';
import { RetrievalStore, type RetrievalScope, type SealedInstance, type StudyVersion } from './retrieval.store.js';

const PAGE = 200;
/** Opening an instance takes a tenth of a millisecond; in between others get their turn. */
const OPENED_AT_ONCE = 50;
/** Cannot stand inside of a JSON string, where quotes are escaped. */
const PLACEHOLDER = `"BulkDataURI":"${BULK_DATA_PREFIX}`;

/** Metadata of instances as DICOM JSON, put together as text: the rows hold it as it is sent. @see PS3.18 §10.4.1.1.2 and Annex F */
@Injectable()
export class MetadataService {
  constructor(
    private readonly store: RetrievalStore,
    private readonly vault: KeyVault,
    private readonly damage: InstanceDamage,
  ) {}

  /**
   * A JSON array with a data set for each instance.
   *
   * @param studiesUrl  where bulk data lie below
   * @param has  whether the client has this version; undefined when it has none
   * @throws AppError `study-not-found`, `series-not-found`, `instance-not-found`; while it is made `blob-corrupt`, `key-destroyed`
   */
  async json(scope: RetrievalScope, studiesUrl: string, has: Conditions['has'] | undefined): Promise<{ etag: string; chunks: AsyncGenerator<Chunks> } | NotModified> {
    if (has !== undefined) {
      const etag = etagOfVersion(await this.store.version(scope), scope, studiesUrl);
      if (has(etag)) return { etag };
    }
    const first = await this.store.sealedPage(scope, { after: undefined, limit: PAGE });
    const [one] = first;
    if (one === undefined) return this.store.explainMissing(scope);
    return { etag: etagOfVersion(one, scope, studiesUrl), chunks: this.chunks(scope, first, studiesUrl) };
  }

  private async *chunks(scope: RetrievalScope, first: readonly SealedInstance[], studiesUrl: string): AsyncGenerator<Chunks> {
    for (let page = first, isFirst = true; ;) {
      const next = page.length < PAGE ? undefined : this.store.sealedPage(scope, { after: page.at(-1)?.id, limit: PAGE });
      // Met below, and no unhandled rejection until then.
      next?.catch(() => undefined);
      for (let at = 0; at < page.length; at += OPENED_AT_ONCE) {
        yield [await this.opened(page.slice(at, at + OPENED_AT_ONCE), isFirst, scope, studiesUrl)];
        isFirst = false;
      }
      if (next === undefined) break;
      page = await next;
    }
    yield [Buffer.from(']')];
  }

  private async opened(instances: readonly SealedInstance[], isFirst: boolean, { studyInstanceUid }: RetrievalScope, studiesUrl: string): Promise<Uint8Array> {
    const texts: string[] = [];
    for (const instance of instances) {
      const { id, keyId, sealed, seriesInstanceUid, sopInstanceUid } = instance;
      const key = await this.vault.keyById(keyId);
      const json = await this.damage.naming(instance, () => Promise.resolve(openJson(key, sealed, sealContext.instance(id))));
      texts.push(json.replaceAll(PLACEHOLDER, `"BulkDataURI":"${studiesUrl}/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}/bulkdata/`));
    }
    return Buffer.from(`${isFirst ? '[' : ','}${texts.join(',')}`);
  }
}

/** Weak, and another one whenever anything in the study changes. */
function etagOfVersion({ studyId, updatedAt }: StudyVersion, { seriesInstanceUid = '', sopInstanceUid = '' }: RetrievalScope, studiesUrl: string): string {
  return `W/${etagOf('metadata', studyId, updatedAt.getTime(), seriesInstanceUid, sopInstanceUid, studiesUrl)}`;
}

/** Compressed on its way, quickly rather than well. */
export async function* gzipped(source: AsyncIterable<Chunks>): AsyncGenerator<Chunks> {
  const gzip = createGzip({ level: 1 });
  // Errors of either end at the loop below; the callback is there because there must be one.
  pipeline(Readable.from(flat(source), { objectMode: false }), gzip, () => undefined);
  for await (const chunk of gzip) yield [chunk as Uint8Array]; // streams are in byte mode
}

async function* flat(source: AsyncIterable<Chunks>): AsyncGenerator<Uint8Array> {
  for await (const chunks of source) yield* chunks;
}
