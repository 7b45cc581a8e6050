import { tagOf } from '../dicom/dictionary.js';
import { EXPLICIT_LITTLE } from '../dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../dicom/write-data-set.js';
import { dataSetOf, type Fields } from '../report/data-set.js';
import type { Grid, Vector3 } from '../volume/volume.js';
import { newDicomUid } from '../../kernel/uid.js';

/** An axial volume around the origin: `[z, y, x]`, x to the patient's left, y to the back, z to the head. */
export interface PhantomVolume {
  /** Columns, rows, slices. */
  size: Vector3;
  /** Millimetres. */
  spacing: Vector3;
  /** Hounsfield units of a CT; of an MR arbitrary ones, not negative. */
  voxels: Int16Array;
}

export interface PhantomSeries {
  modality: 'CT' | 'MR';
  seriesInstanceUid: string;
  /** Shared by the series of a study. */
  frameOfReferenceUid: string;
  seriesNumber: number;
  /** Of patient, study and sequence, for every slice. */
  fields: Fields;
}

export interface PhantomSlice {
  sopClassUid: string;
  sopInstanceUid: string;
  bytes: Uint8Array;
}

const SOP_CLASSES = { CT: '1.2.840.10008.5.1.4.1.1.2', MR: '1.2.840.10008.5.1.4.1.1.4' };
/** Stored values of a CT are not negative. */
const CT_INTERCEPT = -1024;

/** Fills a volume from what is at each point. @param valueAt  of a point in LPS millimetres, the origin in the middle */
export function fillVolume(size: Vector3, spacing: Vector3, valueAt: (x: number, y: number, z: number) => number): PhantomVolume {
  const voxels = new Int16Array(size[0] * size[1] * size[2]);
  const along = (axis: 0 | 1 | 2, index: number): number => (index - (size[axis] - 1) / 2) * spacing[axis];
  let offset = 0;
  for (let k = 0; k < size[2]; k++) for (let j = 0; j < size[1]; j++) for (let i = 0; i < size[0]; i++) voxels[offset++] = Math.round(valueAt(along(0, i), along(1, j), along(2, k)));
  return { size, spacing, voxels };
}

/** The grid of `fillVolume` in LPS millimetres. */
export function phantomGrid({ size, spacing }: Pick<PhantomVolume, 'size' | 'spacing'>): Grid {
  const start = (axis: 0 | 1 | 2): number => (-(size[axis] - 1) / 2) * spacing[axis];
  return { size, affine: [[spacing[0], 0, 0, start(0)], [0, spacing[1], 0, start(1)], [0, 0, spacing[2], start(2)]] };
}

/** Whether a point lies in an ellipsoid. Millimetres. */
export function isInside(x: number, y: number, z: number, centre: Vector3, radii: Vector3): boolean {
  return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2 <= 1;
}

/**
 * The slices as CT or MR images in explicit little endian, feet first to last.
 *
 * @see PS3.3 A.3, A.4
 */
export function volumeSeries({ size: [columns, rows, slices], spacing, voxels }: PhantomVolume, series: PhantomSeries): PhantomSlice[] {
  const [area, intercept, sopClassUid] = [columns * rows, series.modality === 'CT' ? CT_INTERCEPT : 0, SOP_CLASSES[series.modality]];
  const corner = [-((columns - 1) / 2) * spacing[0], -((rows - 1) / 2) * spacing[1]];
  return Array.from({ length: slices }, (_, k) => {
    const sopInstanceUid = newDicomUid();
    const attributes = dataSetOf({
      SOPClassUID: sopClassUid, SOPInstanceUID: sopInstanceUid, SeriesInstanceUID: series.seriesInstanceUid, FrameOfReferenceUID: series.frameOfReferenceUid, PositionReferenceIndicator: '',
      Modality: series.modality, Manufacturer: 'HealthVision', SeriesNumber: series.seriesNumber, InstanceNumber: k + 1, ImageType: ['ORIGINAL', 'PRIMARY', series.modality === 'CT' ? 'AXIAL' : 'M'],
      ImagePositionPatient: [...corner, (k - (slices - 1) / 2) * spacing[2]], ImageOrientationPatient: [1, 0, 0, 0, 1, 0], PixelSpacing: [spacing[1], spacing[0]], SliceThickness: spacing[2],
      SamplesPerPixel: 1, PhotometricInterpretation: 'MONOCHROME2', Rows: rows, Columns: columns, BitsAllocated: 16, BitsStored: 16, HighBit: 15, PixelRepresentation: 0,
      ...(series.modality === 'CT' && { RescaleIntercept: intercept, RescaleSlope: 1, RescaleType: 'HU' }), BurnedInAnnotation: 'NO', ...series.fields,
    });
    const pixels = new Uint8Array(area * 2);
    const view = new DataView(pixels.buffer);
    for (let at = 0; at < area; at++) view.setUint16(at * 2, Math.max(0, (voxels[k * area + at] ?? 0) - intercept), true);
    const pixelData = tagOf('PixelData');
    const pieces = encodeDataSet<Uint8Array>({ ...attributes, [pixelData]: { vr: 'OW' } }, (path) => (path === pixelData ? pixels : undefined));
    return { sopClassUid, sopInstanceUid, bytes: new Uint8Array(Buffer.concat([encodeFileHead({ sopClassUid, sopInstanceUid, transferSyntaxUid: EXPLICIT_LITTLE }), ...pieces])) };
  });
}
