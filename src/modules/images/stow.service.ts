import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import { withStored, type Fate, type Refusal } from './fate.js';
import { IngestBatches } from './ingest-batches.js';
import { IngestService, type IngestTarget, type StagedInstance } from './ingest.service.js';
import { parseMediaType, relatedParts, type RelatedPart } from './multipart-related.js';
import { instanceRefusal, type SentInstance } from './stow-instance.js';
import { StowMetadataService } from './stow-metadata.service.js';

/** Store transaction of DICOMweb. */
@Injectable()
export class StowService {
  constructor(
    private readonly ingest: IngestService,
    private readonly metadata: StowMetadataService,
  ) {}

  /**
   * Stores every part of a body as it arrives: a single application/dicom, or multipart/related of them, or multipart/related of
   * DICOM JSON and bulk data.
   *
   * @param contentType  header of the request
   * @returns the fate of every instance
   * @throws AppError `unsupported-media-type`, `malformed-multipart`, `payload-too-large`; as `IngestService.ingest` does. What was stored
   * until then stays, and the error's detail says how many instances that are
   * @see PS3.18 §10.5
   */
  async store(contentType: string | undefined, body: () => ByteSource, target: IngestTarget): Promise<Fate[]> {
    const { essence, parameters } = parseMediaType(contentType ?? '');
    if (essence === 'application/dicom') return [await this.ingest.ingest(body(), target)];
    // Clients that leave the type parameter out are common; then every part has to say what it is.
    const type = parameters.get('type')?.toLowerCase();
    const boundary = parameters.get('boundary') ?? '';
    if (essence === 'multipart/related' && type === 'application/dicom+json') return this.storeAll(this.metadata.instances(relatedParts(body(), boundary)), target);
    if (essence === 'multipart/related' && (type === undefined || type === 'application/dicom')) return this.storeAll(files(relatedParts(body(), boundary), type), target);
    throw new AppError('unsupported-media-type', { detail: 'Instances are sent as multipart/related with type="application/dicom" or "application/dicom+json", or one as application/dicom.' });
  }

  private async storeAll(instances: AsyncIterable<SentInstance | Refusal>, target: IngestTarget): Promise<Fate[]> {
    const batches = new IngestBatches(this.ingest);
    try {
      for await (const one of instances) await batches.add('status' in one ? this.refuse(one) : await this.stage(one, target));
      const fates = await batches.finish();
      if (fates.length === 0) throw new AppError('malformed-multipart', { detail: 'The body has no parts.' });
      if (fates.every((fate) => fate.status === 'refused' && fate.code === 'storage-full')) throw new AppError('storage-full');
      return fates;
    } catch (error) {
      throw withStored(error, await batches.giveUp());
    }
  }

  private async stage({ content, identity }: SentInstance, target: IngestTarget): Promise<StagedInstance | Refusal> {
    try {
      const staged = await this.ingest.stage(content, target);
      return 'status' in staged ? { ...identity, ...staged } : staged;
    } catch (error) {
      const refusal = instanceRefusal(error);
      if (!refusal) throw error;
      return this.refuse({ ...refusal, ...identity });
    }
  }

  private refuse(fate: Refusal): Refusal {
    this.ingest.observe(fate);
    return fate;
  }
}

/** @param type  of parts that do not say theirs */
async function* files(parts: AsyncIterable<RelatedPart>, type: string | undefined): AsyncGenerator<SentInstance | Refusal> {
  for await (const { headers, content } of parts) {
    const partType = parseMediaType(headers.get('content-type') ?? type ?? '').essence;
    yield partType === 'application/dicom' ? { content } : { status: 'refused', code: 'unsupported-media-type', detail: 'A part is not application/dicom.' };
  }
}
