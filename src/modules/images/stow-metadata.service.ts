import { Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import type { DicomJson, DicomJsonElement } from '../../imaging/dicom/dicom-json.js';
import { text } from '../../imaging/dicom/attributes.js';
import { readDicomJson } from '../../imaging/dicom/read-dicom-json.js';
import { EXPLICIT_LITTLE } from '../../imaging/dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../../imaging/dicom/write-data-set.js';
import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import type { Refusal } from './fate.js';
import { parseMediaType, type RelatedPart } from './multipart-related.js';
import { instanceRefusal, type ReferencedInstance, type SentInstance } from './stow-instance.js';
import { UploadArea, type SpooledFile } from './upload-area.js';

/** Of all metadata of a request: they are in memory until the last instance is stored. */
const MAX_METADATA_BYTES = 8 * 1024 * 1024;
const MAX_DATA_SETS = 10_000;
/** Each is an open file, and a buffer, until the last instance is stored. */
const MAX_BULK_PARTS = 1_000;
/** A value is written out in stretches of this size. */
const STRETCH_BYTES = 1024 * 1024;
const UID = /^[0-9.]{1,64}$/;

interface BulkPart {
  /** undefined when there was no room for it. */
  file: SpooledFile | undefined;
  /** Media type without parameters. */
  type: string;
}

/** A value that lies in a part of the request. */
interface BulkValue {
  length: number;
  file: SpooledFile;
}

/**
 * Instances that come as metadata and bulk data: first the data sets as DICOM JSON, then the large values, each a part that its
 * Content-Location names. @see PS3.18 §8.7.3.2, §10.5.1.1
 */
@Injectable()
export class StowMetadataService {
  constructor(private readonly area: UploadArea) {}

  /**
   * Reads all parts, then gives one file after the other; a file is to be read before the next is asked for.
   *
   * @returns for every data set, in their order, its file or why there is none
   * @throws AppError `malformed-multipart` when the metadata are none, `payload-too-large`; what the parts and the blob store throw
   */
  async *instances(parts: AsyncIterable<RelatedPart>): AsyncGenerator<SentInstance | Refusal> {
    const bulk = new Map<string, BulkPart>();
    try {
      for (const dataSet of await this.receive(parts, bulk)) {
        // Checking and writing out a data set is done in one go; others get their turn in between.
        await setImmediate();
        yield instanceOf(dataSet, bulk);
      }
    } finally {
      for (const { file } of bulk.values()) await file?.remove();
    }
  }

  /** @returns the data sets, which nobody has looked at yet */
  private async receive(parts: AsyncIterable<RelatedPart>, bulk: Map<string, BulkPart>): Promise<unknown[]> {
    const dataSets: unknown[] = [];
    let metadataBytes = 0;
    for await (const { headers, content } of parts) {
      const type = parseMediaType(headers.get('content-type') ?? '').essence;
      const location = headers.get('content-location');
      if (type === 'application/dicom+json' || (type === '' && dataSets.length === 0)) {
        const metadata = await readUpTo(content, MAX_METADATA_BYTES - metadataBytes);
        metadataBytes += metadata.length;
        for (const dataSet of parseMetadata(metadata)) dataSets.push(dataSet);
        if (dataSets.length > MAX_DATA_SETS) throw tooMuch(`Metadata may have ${String(MAX_DATA_SETS)} data sets.`);
      } else if (location === undefined) throw new AppError('malformed-multipart', { detail: 'A part of bulk data has no Content-Location.' });
      else {
        await bulk.get(location)?.file?.remove();
        bulk.delete(location);
        if (bulk.size >= MAX_BULK_PARTS) throw tooMuch(`Metadata may come with ${String(MAX_BULK_PARTS)} parts of bulk data.`);
        bulk.set(location, { file: await this.spool(content), type });
      }
    }
    if (dataSets.length === 0) throw new AppError('malformed-multipart', { detail: 'The body has no metadata.' });
    return dataSets;
  }

  /** @returns undefined when there is no room: only the instances that need it fail */
  private async spool(content: ByteSource): Promise<SpooledFile | undefined> {
    try {
      return await this.area.spool(content);
    } catch (error) {
      if (error instanceof AppError && error.code === 'storage-full') return undefined;
      throw error;
    }
  }
}

/** @throws AppError `payload-too-large` */
async function readUpTo(content: ByteSource, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of content) {
    held += chunk.byteLength;
    if (held > limitBytes) throw tooMuch(`Metadata may have ${String(MAX_METADATA_BYTES)} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @throws AppError `malformed-multipart` */
function parseMetadata(bytes: Buffer): unknown[] {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new AppError('malformed-multipart', { detail: 'The metadata are no JSON.', cause });
  }
  if (!Array.isArray(json) || json.length === 0) throw new AppError('malformed-multipart', { detail: 'The metadata are no array of DICOM JSON data sets.' });
  return json as unknown[];
}

function instanceOf(json: unknown, bulk: ReadonlyMap<string, BulkPart>): SentInstance | Refusal {
  const identity = identityOf(json);
  try {
    return { content: fileOf(readDicomJson(json), bulk), identity };
  } catch (error) {
    const refusal = instanceRefusal(error);
    if (!refusal) throw error;
    return { ...refusal, ...identity };
  }
}

/**
 * The data set as a Part 10 file in Explicit VR Little Endian.
 * @throws AppError `missing-sop-class`, `missing-uid`, `unsupported-transfer-syntax`, `invalid-dicom`, `storage-full` when there was no
 * room for its bulk data
 */
function fileOf(dataSet: DicomJson, bulk: ReadonlyMap<string, BulkPart>): ByteSource {
  const sopClassUid = text(dataSet, 'SOPClassUID');
  const sopInstanceUid = text(dataSet, 'SOPInstanceUID');
  if (sopClassUid === undefined) throw new AppError('missing-sop-class');
  if (sopInstanceUid === undefined) throw new AppError('missing-uid', { detail: 'SOPInstanceUID is missing' });
  // File meta is ours to write.
  const attributes = Object.fromEntries(Object.entries(dataSet).filter(([key]) => !key.startsWith('0002')));
  const pieces = encodeDataSet<BulkValue>(attributes, (path, element) => bulkValueOf(element, path, bulk));
  return (async function* file(): AsyncGenerator<Uint8Array> {
    yield encodeFileHead({ sopClassUid, sopInstanceUid, transferSyntaxUid: EXPLICIT_LITTLE });
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) yield piece;
      else for (let offset = 0; offset < piece.length; offset += STRETCH_BYTES) yield await piece.file.read({ offset, length: STRETCH_BYTES });
    }
  })();
}

function bulkValueOf({ BulkDataURI }: DicomJsonElement, path: string, bulk: ReadonlyMap<string, BulkPart>): BulkValue | undefined {
  if (BulkDataURI === undefined) return undefined;
  const part = bulk.get(BulkDataURI);
  if (!part) throw new AppError('invalid-dicom', { detail: `The bulk data of ${path.slice(path.lastIndexOf('/') + 1)} are in no part of the request.` });
  if (part.type !== 'application/octet-stream') throw new AppError('unsupported-transfer-syntax', { detail: 'Bulk data are taken as application/octet-stream only; send compressed instances as application/dicom.' });
  if (!part.file) throw new AppError('storage-full');
  return { length: part.file.sizeBytes, file: part.file };
}

/** What the answer refers to the data set by, which may be no data set. */
function identityOf(json: unknown): ReferencedInstance {
  const sopClassUid = uidAt(json, '00080016');
  const sopInstanceUid = uidAt(json, '00080018');
  return { ...(sopClassUid !== undefined && { sopClassUid }), ...(sopInstanceUid !== undefined && { sopInstanceUid }) };
}

function uidAt(json: unknown, tag: string): string | undefined {
  // Whatever JSON it is, these steps can be tried on it.
  const values = (json as Record<string, { Value?: unknown } | null | undefined> | null)?.[tag]?.Value;
  const uid: unknown = Array.isArray(values) ? values[0] : undefined;
  return typeof uid === 'string' && UID.test(uid) ? uid : undefined;
}

function tooMuch(detail: string): AppError {
  return new AppError('payload-too-large', { detail });
}
