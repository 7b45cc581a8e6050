import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { BulkDataEntry, ParsedInstance, PixelDataLocation } from '../../imaging/dicom/header.js';
import type { Encoding } from '../../imaging/dicom/elements.js';

/** Where things lie in a stored object, as the row keeps it: offsets and tags, no values. Offsets count in the object as it was sent. */
export interface InstanceLayout {
  encoding: Encoding;
  /** Bytes before the pixel data element; the whole size when there is none. */
  headerLength: number;
  /** `scan`: the fragments are too many for a row; read the object's headers again. */
  pixelData: PixelDataLocation | 'scan' | null;
  /** Values that the sealed attributes leave out. */
  bulkData: readonly BulkDataEntry[];
  /** The data set is deflated: offsets count in the inflated data set, so the object is read whole. */
  deflated?: true;
  /** The object has no preamble and prefix: it becomes a file only as it is sent. */
  bare?: true;
}

/** A row must stay small enough to be read for every frame. */
const MAX_KEPT_FRAGMENTS = 20_000;

export function layoutOf({ encoding, headerLength, pixelData, bulkData, inflated, isBare }: ParsedInstance): InstanceLayout {
  const tooMany = pixelData?.encoding === 'encapsulated' && pixelData.fragments.length > MAX_KEPT_FRAGMENTS;
  return { encoding, headerLength, pixelData: tooMany ? 'scan' : pixelData, bulkData, ...(inflated && { deflated: true }), ...(isBare && { bare: true }) };
}

/** Stands for the values that were left in the object, in the attributes as they are stored: `hv:/` and the path of the value. */
export const BULK_DATA_PREFIX = 'hv:/';

/**
 * The attributes as they are stored: what `bulkData` lists, and the pixel data, refer to the object by a `BulkDataURI` of
 * `BULK_DATA_PREFIX` and a path such as `54000100/0/54001010`.
 */
export function withBulkDataUris(attributes: DicomJson, { bulkData, pixelData }: Pick<ParsedInstance, 'bulkData' | 'pixelData'>): DicomJson {
  for (const { path, vr } of bulkData) {
    const steps = path.split('/');
    const tag = steps.pop();
    let item: DicomJson | undefined = attributes;
    for (let at = 0; at + 1 < steps.length && item !== undefined; at += 2) item = itemOf(item, steps[at] ?? '', Number(steps[at + 1]));
    if (item !== undefined && tag !== undefined) item[tag] = { vr, BulkDataURI: `${BULK_DATA_PREFIX}${path}` };
  }
  if (pixelData !== null) {
    const tag = PIXEL_TAGS[pixelData.element];
    attributes[tag] = { vr: pixelData.vr, BulkDataURI: `${BULK_DATA_PREFIX}${tag}` };
  }
  return attributes;
}

export const PIXEL_TAGS = { PixelData: '7FE00010', FloatPixelData: '7FE00008', DoubleFloatPixelData: '7FE00009' } as const satisfies Record<PixelDataLocation['element'], string>;

function itemOf(attributes: DicomJson, tag: string, index: number): DicomJson | undefined {
  // The values of SQ are items; the reader writes nothing else there.
  return attributes[tag]?.vr === 'SQ' ? (attributes[tag].Value?.[index] as DicomJson | undefined) : undefined;
}
