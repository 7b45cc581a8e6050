import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import { withStored, type Fate, type Refusal } from './fate.js';
import { IngestBatches } from './ingest-batches.js';
import { IngestService, type IngestTarget, type StagedInstance } from './ingest.service.js';
import { parseMediaType, relatedParts } from './multipart-related.js';
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
   * @returns the fate of every part
   * @throws AppError `unsupported-media-type`, `malformed-multipart`; as `IngestService.ingest` does. What was stored until then stays,
   * and the error's detail says how many parts that are
   * @see PS3.18 §10.5
   */
  async store(contentType: string | undefined, body: () => ByteSource, target: IngestTarget): Promise<Fate[]> {
    const { essence, parameters } = parseMediaType(contentType ?? '');
    if (essence === 'application/dicom') return [await this.ingest.ingest(body(), target)];
    // Clients that leave the type parameter out are common; then every part has to say what it is.
    const type = parameters.get('type')?.toLowerCase();
    if (essence === 'multipart/related' && type === 'application/dicom+json') return this.metadata.store(relatedParts(body(), parameters.get('boundary') ?? ''), target);
    if (essence !== 'multipart/related' || (type !== undefined && type !== 'application/dicom')) {
      throw new AppError('unsupported-media-type', { detail: 'Instances are sent as multipart/related with type="application/dicom" or "application/dicom+json", or one as application/dicom.' });
    }
    const batches = new IngestBatches(this.ingest);
    try {
      for await (const { headers, content } of relatedParts(body(), parameters.get('boundary') ?? '')) {
        const partType = parseMediaType(headers.get('content-type') ?? type ?? '').essence;
        await batches.add(partType === 'application/dicom' ? await this.stage(content, target) : this.refuse());
      }
      const fates = await batches.finish();
      if (fates.length === 0) throw new AppError('malformed-multipart', { detail: 'The body has no parts.' });
      if (fates.every((fate) => fate.status === 'refused' && fate.code === 'storage-full')) throw new AppError('storage-full');
      return fates;
    } catch (error) {
      throw withStored(error, await batches.giveUp());
    }
  }

  /** A part that finds no room fails by itself: others may be smaller, or stored already. */
  private async stage(content: ByteSource, target: IngestTarget): Promise<StagedInstance | Refusal> {
    try {
      return await this.ingest.stage(content, target);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'storage-full') throw error;
      const fate: Refusal = { status: 'refused', code: 'storage-full' };
      this.ingest.observe(fate);
      return fate;
    }
  }

  private refuse(): Refusal {
    const fate: Refusal = { status: 'refused', code: 'unsupported-media-type', detail: 'A part is not application/dicom.' };
    this.ingest.observe(fate);
    return fate;
  }
}
