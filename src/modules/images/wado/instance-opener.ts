import { Injectable } from '@nestjs/common';
import { parseInstance, type ParsedInstance, type PixelDataLocation } from '../../../imaging/dicom/header.js';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { readFileHead } from '../../../imaging/dicom/transcode.js';
import { AppError } from '../../../kernel/errors.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { BlobStore, type BlobReader } from '../../../platform/storage/blob-store.js';
import { ImagingThreads } from '../../../platform/threads/imaging-threads.service.js';
import type { InstanceLayout } from '../instance-layout.js';
import { sealContext } from '../sealed-json.js';
import { openAttributes } from '../study-attributes.js';
import { DescribedImages } from './described-images.js';
import { OpenedInstance, pixelAttributes } from './opened-instance.js';
import { RetrievalStore, type InstanceDetail, type RetrievedInstance } from './retrieval.store.js';

/** As when it was stored. */
const MAX_INFLATED_BYTES = 128 * 1024 * 1024;

/** Opens stored instances: their bytes, and what the row knows of them. */
@Injectable()
export class InstanceOpener {
  private readonly described = new DescribedImages();

  constructor(
    private readonly store: RetrievalStore,
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly threads: ImagingThreads,
  ) {}

  /** With all attributes. @throws AppError `instance-not-found`, `blob-missing`, `blob-corrupt`, `key-destroyed` */
  async open(row: RetrievedInstance): Promise<OpenedInstance> {
    const detail = await this.detail(row);
    const attributes = await this.attributes(row, detail);
    return this.opened(row, detail.layout, attributes);
  }

  /** With what describes the pixels alone, which is remembered. Throws as `open` does. */
  async openPixels(row: RetrievedInstance): Promise<OpenedInstance> {
    const known = this.described.get(row.id);
    if (known) return new OpenedInstance(known, await this.blobs.open(row.blobKey, 'stretch'));
    const detail = await this.detail(row);
    const opened = await this.opened(row, detail.layout, pixelAttributes(await this.attributes(row, detail)));
    this.described.remember(row.id, opened.parsed);
    return opened;
  }

  private async detail({ id, institutionId }: RetrievedInstance): Promise<InstanceDetail> {
    const detail = await this.store.detail(institutionId, id);
    if (!detail) throw new AppError('instance-not-found');
    return detail;
  }

  private async attributes({ id, keyId }: RetrievedInstance, { sealed }: InstanceDetail): Promise<DicomJson> {
    return openAttributes(await this.vault.keyById(keyId), sealed, sealContext.instance(id));
  }

  private async opened(row: RetrievedInstance, layout: InstanceLayout, attributes: DicomJson): Promise<OpenedInstance> {
    const reader = await this.blobs.open(row.blobKey, 'stretch');
    try {
      const pixelData = layout.pixelData === 'scan' ? await scanned(reader) : layout.pixelData;
      const inflated = layout.deflated === true ? await this.inflated(row, reader) : undefined;
      return new OpenedInstance(parsedInstance(row, layout, { attributes, pixelData, inflated }), reader);
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  private async inflated(row: RetrievedInstance, reader: BlobReader): Promise<Uint8Array> {
    const { dataSetStart } = await driven(reader, readFileHead(reader.sizeBytes, row));
    return this.threads.inflate(await reader.read({ offset: dataSetStart, length: reader.sizeBytes - dataSetStart }), MAX_INFLATED_BYTES);
  }
}

function parsedInstance(row: RetrievedInstance, layout: InstanceLayout, rest: { attributes: DicomJson; pixelData: PixelDataLocation | null; inflated: Uint8Array | undefined }): ParsedInstance {
  const { transferSyntaxUid, studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid } = row;
  const { inflated, ...known } = rest;
  return {
    ...known, meta: { transferSyntaxUid }, studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid,
    bulkData: layout.bulkData, encoding: layout.encoding, headerLength: layout.headerLength, ...(inflated === undefined ? {} : { inflated }),
  };
}

/** Fragments that were too many for the row. */
async function scanned(reader: BlobReader): Promise<PixelDataLocation | null> {
  return (await driven(reader, parseInstance(reader.sizeBytes, { maxInflatedBytes: MAX_INFLATED_BYTES }))).pixelData;
}

/** Runs a coroutine that asks for stretches of a file. */
export async function driven<T>(source: { read(stretch: { offset: number; length: number }): Promise<Uint8Array> }, steps: Generator<{ offset: number; length: number }, T, Uint8Array>): Promise<T> {
  let step = steps.next();
  while (step.done !== true) step = steps.next(await source.read(step.value));
  return step.value;
}
