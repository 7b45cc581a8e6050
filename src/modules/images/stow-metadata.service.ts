import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { text } from '../../imaging/dicom/attributes.js';
import { EXPLICIT_LITTLE } from '../../imaging/dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../../imaging/dicom/write-data-set.js';
import { AppError } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';
import { refusalOf, type Fate, type Refusal } from './fate.js';
import { IngestService, type IngestTarget } from './ingest.service.js';
import { parseMediaType, type RelatedPart } from './multipart-related.js';
import { UploadArea, type SpooledFile } from './upload-area.js';

const MAX_METADATA_BYTES = 64 * 1024 * 1024;
/** A value is written out in stretches of this size. */
const STRETCH_BYTES = 1024 * 1024;

const tag = z.string().regex(/^[0-9A-Fa-f]{8}$/);
const scalar = z.union([z.string(), z.number(), z.null()]);
const nameSchema = z.strictObject({ Alphabetic: z.string().optional(), Ideographic: z.string().optional(), Phonetic: z.string().optional() });
/** The DICOM JSON model. @see PS3.18 Annex F */
const elementSchema = z.object({
  vr: z.string().regex(/^[A-Z]{2}$/),
  get Value() { return z.array(z.union([scalar, nameSchema, dataSetSchema])).optional(); },
  InlineBinary: z.base64().optional(),
  BulkDataURI: z.string().optional(),
});
const dataSetSchema: z.ZodType = z.lazy(() => z.record(tag, elementSchema));
const metadataSchema = z.array(dataSetSchema).min(1);

interface BulkPart {
  file: SpooledFile;
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
  constructor(
    private readonly ingest: IngestService,
    private readonly area: UploadArea,
  ) {}

  /**
   * @returns the fate of every data set, in their order
   * @throws AppError `malformed-multipart` when the metadata are none; what the parts and `IngestService.ingest` throw
   */
  async store(parts: AsyncIterable<RelatedPart>, target: IngestTarget): Promise<Fate[]> {
    const dataSets: DicomJson[] = [];
    const bulk = new Map<string, BulkPart>();
    try {
      for await (const { headers, content } of parts) {
        const type = parseMediaType(headers.get('content-type') ?? '').essence;
        const location = headers.get('content-location');
        if (type === 'application/dicom+json' || (type === '' && dataSets.length === 0)) dataSets.push(...(await readMetadata(content)));
        else if (location === undefined) throw new AppError('malformed-multipart', { detail: 'A part of bulk data has no Content-Location.' });
        else {
          await bulk.get(location)?.file.remove();
          bulk.set(location, { file: await this.area.spool(content), type });
        }
      }
      if (dataSets.length === 0) throw new AppError('malformed-multipart', { detail: 'The body has no metadata.' });
      const fates: Fate[] = [];
      for (const dataSet of dataSets) fates.push(await this.storeOne(dataSet, bulk, target));
      return fates;
    } finally {
      for (const { file } of bulk.values()) await file.remove();
    }
  }

  private async storeOne(dataSet: DicomJson, bulk: ReadonlyMap<string, BulkPart>, target: IngestTarget): Promise<Fate> {
    try {
      return await this.ingest.ingest(fileOf(dataSet, bulk), target);
    } catch (error) {
      const refusal: Refusal | undefined = refusalOf(error, undefined);
      if (!refusal) throw error;
      this.ingest.observe(refusal);
      return { ...refusal, ...identityOf(dataSet) };
    }
  }
}

/** @throws AppError `malformed-multipart` */
async function readMetadata(content: ByteSource): Promise<DicomJson[]> {
  const chunks: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of content) {
    held += chunk.byteLength;
    if (held > MAX_METADATA_BYTES) throw new AppError('payload-too-large', { detail: `Metadata may have ${String(MAX_METADATA_BYTES)} bytes.` });
    chunks.push(chunk);
  }
  let json: unknown;
  try {
    json = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new AppError('malformed-multipart', { detail: 'The metadata are no JSON.', cause });
  }
  const parsed = metadataSchema.safeParse(json);
  if (!parsed.success) throw new AppError('malformed-multipart', { detail: 'The metadata are no array of DICOM JSON data sets.' });
  // What the schema describes, which zod's types cannot say of a recursive one.
  return (parsed.data as DicomJson[]).map(withUpperCaseTags);
}

function withUpperCaseTags(dataSet: DicomJson): DicomJson {
  return Object.fromEntries(Object.entries(dataSet).map(([key, element]) => [key.toUpperCase(), element.vr === 'SQ' && element.Value
    // The values of SQ are items.
    ? { ...element, Value: element.Value.map((item) => withUpperCaseTags((item ?? {}) as DicomJson)) } : element]));
}

/**
 * The data set as a Part 10 file in Explicit VR Little Endian.
 * @throws AppError `missing-sop-class`, `missing-uid`, `unsupported-transfer-syntax`, `invalid-dicom`
 */
function fileOf(dataSet: DicomJson, bulk: ReadonlyMap<string, BulkPart>): ByteSource {
  const sopClassUid = text(dataSet, 'SOPClassUID');
  const sopInstanceUid = text(dataSet, 'SOPInstanceUID');
  if (sopClassUid === undefined) throw new AppError('missing-sop-class');
  if (sopInstanceUid === undefined) throw new AppError('missing-uid', { detail: 'SOPInstanceUID is missing' });
  // File meta is ours to write.
  const attributes = Object.fromEntries(Object.entries(dataSet).filter(([key]) => !key.startsWith('0002')));
  const pieces = encodeDataSet<BulkValue>(attributes, (path) => bulkValueAt(attributes, path, bulk));
  return (async function* file(): AsyncGenerator<Uint8Array> {
    yield encodeFileHead({ sopClassUid, sopInstanceUid, transferSyntaxUid: EXPLICIT_LITTLE });
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) yield piece;
      else for (let offset = 0; offset < piece.length; offset += STRETCH_BYTES) yield await piece.file.read({ offset, length: STRETCH_BYTES });
    }
  })();
}

function bulkValueAt(attributes: DicomJson, path: string, bulk: ReadonlyMap<string, BulkPart>): BulkValue | undefined {
  const steps = path.split('/');
  const last = steps.pop() ?? '';
  let item: DicomJson | undefined = attributes;
  // The values of SQ are items; the path was made along them.
  for (let at = 0; at + 1 < steps.length; at += 2) item = item?.[steps[at] ?? '']?.Value?.[Number(steps[at + 1])] as DicomJson | undefined;
  const uri = item?.[last]?.BulkDataURI;
  if (uri === undefined) return undefined;
  const part = bulk.get(uri);
  if (!part) throw new AppError('invalid-dicom', { detail: `The bulk data of ${last} are in no part of the request.` });
  if (part.type !== 'application/octet-stream') throw new AppError('unsupported-transfer-syntax', { detail: 'Bulk data are taken as application/octet-stream only; send compressed instances as application/dicom.' });
  return { length: part.file.sizeBytes, file: part.file };
}

function identityOf(dataSet: DicomJson): Pick<Refusal, 'sopClassUid' | 'sopInstanceUid'> {
  const sopClassUid = text(dataSet, 'SOPClassUID');
  const sopInstanceUid = text(dataSet, 'SOPInstanceUID');
  return { ...(sopClassUid !== undefined && { sopClassUid }), ...(sopInstanceUid !== undefined && { sopInstanceUid }) };
}
