import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { wrapImage } from '../../imaging/dicom/wrap-image.js';
import { AppError } from '../../kernel/errors.js';
import { derivedDicomUid } from '../../kernel/uid.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import { sourceOf } from './byte-source.js';
import { refusalOf, type Fate } from './fate.js';
import { parseImageFields, type ImageFields } from './image-fields.js';
import { IngestService } from './ingest.service.js';
import type { SpooledFile } from './upload-area.js';

/** A picture is decoded in memory, so it has a limit of its own. */
const MAX_PICTURE_BYTES = 256 * 1024 * 1024;
const STRETCH_BYTES = 1024 * 1024;

/** PNG and JPEG X-rays become DICOM objects, so that everything behind the ingest sees one kind of thing. */
@Injectable()
export class PictureService {
  constructor(
    private readonly ingest: IngestService,
    private readonly threads: ImagingThreads,
  ) {}

  /** Wraps a picture and stores it. The same picture with the same fields is the same instance. Throws as `IngestService.ingest` does. */
  async ingestPicture(file: SpooledFile, fields: ReadonlyMap<string, readonly string[]>, institutionId: string): Promise<Fate> {
    try {
      const described = parseImageFields(fields);
      if (file.sizeBytes > MAX_PICTURE_BYTES) throw new AppError('image-too-large');
      const bytes = await wholeOf(file);
      const uids = uidsOf(institutionId, createHash('sha256').update(bytes).digest('hex'), described);
      const image = await this.threads.readImage(bytes);
      const object = wrapImage(image, { ...withDefaults(described), ...uids });
      return await this.ingest.ingest(sourceOf(object), { institutionId });
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      this.ingest.observe(refusal);
      return refusal;
    }
  }
}

/** In stretches, so that it is not in memory twice. */
async function wholeOf(file: SpooledFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.sizeBytes);
  for (let offset = 0; offset < bytes.length; offset += STRETCH_BYTES) bytes.set(await file.read({ offset, length: STRETCH_BYTES }), offset);
  return bytes;
}

/** zod leaves the keys of absent optional fields out, but types them as possibly undefined. */
function withDefaults({ modality = 'DX', bodyPart = 'CHEST', ...rest }: ImageFields): { modality: string; bodyPart: string } & ExactFields {
  return { modality, bodyPart, ...(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as ExactFields) };
}

type ExactFields = { [Name in Exclude<keyof ImageFields, 'modality' | 'bodyPart'>]?: NonNullable<ImageFields[Name]> };

/** UIDs out of the content: a client that did not hear our answer sends again and gets `duplicate`. @see PS3.5 B.2 */
function uidsOf(institutionId: string, sha256: string, fields: ImageFields): { studyInstanceUid: string; seriesInstanceUid: string; sopInstanceUid: string } {
  const seed = JSON.stringify([institutionId, sha256, Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))]);
  return { studyInstanceUid: derivedDicomUid(`study ${seed}`), seriesInstanceUid: derivedDicomUid(`series ${seed}`), sopInstanceUid: derivedDicomUid(`instance ${seed}`) };
}
