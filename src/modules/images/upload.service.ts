import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { readArchive } from './archive.js';
import { InflationBudget, type ArchiveLimits } from './archive-guard.js';
import { peek, type ByteSource } from './byte-source.js';
import { fileFate, refusalOf, withStored, type Fate, type FileFate } from './fate.js';
import { gunzip } from './gunzip.js';
import { IngestBatches } from './ingest-batches.js';
import { IngestService } from './ingest.service.js';
import { PictureService } from './picture.service.js';
import { sniff, SNIFF_BYTES } from './sniff.js';
import { UploadArea, type SpooledFile } from './upload-area.js';

/** A form as it comes in; the content of a file is read before the next part is asked for. */
export type UploadPart = { kind: 'file'; name: string; content: ByteSource } | { kind: 'field'; name: string; value: string };

const MAX_ENTRIES = 200_000;
/** Inflated bytes of a request, as a multiple of what it may carry. */
const EXPANSION = 20;

/** Where a file stands: what may be inside of it depends on what it came in. */
interface Place {
  file: string;
  /** One for the whole request. */
  limits: ArchiveLimits;
  inArchive: boolean;
  inGzip: boolean;
  batches: IngestBatches;
}

/** An instance whose fate is known once its batch is stored. */
interface WaitingInstance {
  file: string;
  place: number;
}

/** A picture that waits for the fields, which may stand behind it in the form. */
interface WaitingPicture {
  file: string;
  picture: SpooledFile;
}

/** Takes files of any supported kind apart into instances. */
@Injectable()
export class UploadService {
  private readonly inflatedBytes: number;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly ingest: IngestService,
    private readonly pictures: PictureService,
    private readonly area: UploadArea,
  ) {
    this.inflatedBytes = config.MAX_UPLOAD_BYTES * EXPANSION;
  }

  /**
   * Stores what a form carries, as it arrives. An archive counts as its entries.
   *
   * @returns every file's fate, in the order of the form
   * @throws AppError `bad-request` without a file; as `IngestService.ingest` does; what the parts throw. What was stored until then stays, and
   * the error's detail says how many files that are
   */
  async receive(parts: AsyncIterable<UploadPart>, institutionId: string): Promise<FileFate[]> {
    const received: (FileFate | WaitingPicture | WaitingInstance)[] = [];
    const batches = new IngestBatches(this.ingest);
    const fields = new Map<string, string[]>();
    const pictures: FileFate[] = [];
    const limits: ArchiveLimits = { entries: MAX_ENTRIES, budget: new InflationBudget(this.inflatedBytes) };
    try {
      for await (const part of parts) {
        if (part.kind === 'field') fields.set(part.name, [...(fields.get(part.name) ?? []), part.value]);
        else for await (const one of this.takeApart(part.content, { file: part.name, limits, inArchive: false, inGzip: false, batches }, institutionId)) received.push(one);
      }
      if (received.length === 0) throw new AppError('bad-request', { detail: 'The form holds no file.' });
      const stored = await batches.finish();
      const fates: FileFate[] = [];
      for (const one of received) {
        if (!('picture' in one)) {
          const fate = 'place' in one ? stored[one.place] : undefined;
          if ('status' in one) fates.push(one);
          else if (fate) fates.push(fileFate(one.file, fate));
          continue;
        }
        const fate = fileFate(one.file, await this.pictures.ingestPicture(one.picture, fields, institutionId));
        pictures.push(fate);
        fates.push(fate);
      }
      return fates;
    } catch (error) {
      throw withStored(error, [...(await batches.giveUp()), ...pictures]);
    } finally {
      for (const one of received) if ('picture' in one) await one.picture.remove();
    }
  }

  private async *takeApart(content: ByteSource, place: Place, institutionId: string): AsyncGenerator<FileFate | WaitingPicture | WaitingInstance> {
    const peeked = await this.lookInto(content, place);
    if ('status' in peeked) {
      yield peeked;
      return;
    }
    const { head, source } = peeked;
    const kind = sniff(head);
    switch (kind) {
      case 'dicom':
        yield { file: place.file, place: await place.batches.add(await this.ingest.stage(source, { institutionId })) };
        return;
      case 'gzip':
        if (place.inGzip) yield this.refuse(place, new AppError('not-dicom', { detail: 'A gzip file inside a gzip file is not taken.' }));
        else yield* this.takeApart(gunzip(source, place.limits.budget), { ...place, inGzip: true }, institutionId);
        return;
      case 'zip':
        if (place.inArchive) yield this.refuse(place, new AppError('invalid-archive', { detail: 'An archive inside an archive is not taken.' }));
        else yield* this.takeArchiveApart(source, place, institutionId);
        return;
      case 'png':
      case 'jpeg':
        yield place.inArchive ? this.refuse(place, new AppError('not-dicom', { detail: 'Pictures inside an archive are not taken.' })) : await this.keepPicture(source, place);
        return;
      case 'empty':
        yield this.refuse(place, new AppError('empty-file'));
        return;
      case 'unknown':
        yield this.refuse(place, new AppError('not-dicom'));
    }
  }

  private async *takeArchiveApart(source: ByteSource, place: Place, institutionId: string): AsyncGenerator<FileFate | WaitingPicture | WaitingInstance> {
    let archive: SpooledFile | undefined;
    let members = 0;
    try {
      archive = await this.area.spool(source);
      for await (const member of readArchive(archive, place.limits)) {
        members++;
        const inside: Place = { file: `${place.file}/${member.name}`, limits: place.limits, inArchive: true, inGzip: false, batches: place.batches };
        if ('refusal' in member) yield this.refuse(inside, member.refusal);
        else yield* this.takeApart(member.content, inside, institutionId);
      }
      if (members === 0) yield this.refuse(place, new AppError('invalid-archive', { detail: 'The archive holds no file.' }));
    } catch (error) {
      yield this.refuse(place, error);
    } finally {
      await archive?.remove();
    }
  }

  private async keepPicture(source: ByteSource, place: Place): Promise<FileFate | WaitingPicture> {
    try {
      return { file: place.file, picture: await this.area.spool(source) };
    } catch (error) {
      return this.refuse(place, error);
    }
  }

  /** Damage at the very beginning of a compressed file shows here. */
  private async lookInto(content: ByteSource, place: Place): Promise<Awaited<ReturnType<typeof peek>> | FileFate> {
    try {
      return await peek(content, SNIFF_BYTES);
    } catch (error) {
      return this.refuse(place, error);
    }
  }

  /** @throws the error itself when it does not speak of the file */
  private refuse(place: Place, error: unknown): FileFate {
    const fate: Fate | undefined = refusalOf(error);
    if (!fate) throw error;
    this.ingest.observe(fate);
    return fileFate(place.file, fate);
  }
}
