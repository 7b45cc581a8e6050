import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import type { Fate, Refusal } from './fate.js';
import { IngestService, type IngestTarget } from './ingest.service.js';
import { parseMediaType, relatedParts } from './multipart-related.js';

/** Store transaction of DICOMweb. */
@Injectable()
export class StowService {
  constructor(private readonly ingest: IngestService) {}

  /**
   * Stores every part of a multipart/related body as it arrives.
   *
   * @param contentType  header of the request
   * @returns the fate of every part
   * @throws AppError `unsupported-media-type`, `malformed-multipart`; as `IngestService.ingest` does
   * @see PS3.18 §10.5
   */
  async store(contentType: string | undefined, body: () => ByteSource, target: IngestTarget): Promise<Fate[]> {
    const { essence, parameters } = parseMediaType(contentType ?? '');
    // Clients that leave the type parameter out are common; then every part has to say what it is.
    const type = parameters.get('type')?.toLowerCase();
    if (essence !== 'multipart/related' || (type !== undefined && type !== 'application/dicom')) {
      throw new AppError('unsupported-media-type', { detail: 'Instances are sent as multipart/related; type="application/dicom".' });
    }
    const fates: Fate[] = [];
    for await (const { headers, content } of relatedParts(body(), parameters.get('boundary') ?? '')) {
      const partType = parseMediaType(headers.get('content-type') ?? type ?? '').essence;
      fates.push(partType === 'application/dicom' ? await this.ingest.ingest(content, target) : this.refuse());
    }
    if (fates.length === 0) throw new AppError('malformed-multipart', { detail: 'The body has no parts.' });
    return fates;
  }

  private refuse(): Refusal {
    const fate: Refusal = { status: 'refused', code: 'unsupported-media-type', detail: 'A part is not application/dicom.' };
    this.ingest.observe(fate);
    return fate;
  }
}
