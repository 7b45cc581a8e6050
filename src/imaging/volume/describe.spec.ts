import { describe, expect, it } from 'vitest';
import { seriesOf, studyInputOf, type Fields, type SourceVolume, type VolumeSeriesOptions } from '../../../test/support/dicom-volumes.js';
import { describeSeries, type SeriesDescription } from './describe.js';
import type { SliceSource } from './slices.js';

const AXIAL: SourceVolume['affine'] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, -50]];

function sources(options: VolumeSeriesOptions, affine = AXIAL, slices = 20): SliceSource[] {
  const size = [3, 3, slices] as const;
  return studyInputOf(seriesOf({ size, affine, voxels: new Int16Array(9 * slices) }, options)).series.flatMap(({ instances }) => instances);
}

function described(options: VolumeSeriesOptions = {}, affine = AXIAL): SeriesDescription {
  return describeSeries(sources({ modality: 'CT', ...options }, affine));
}

const zOf = (z: number): Fields => ({ ImagePositionPatient: [0, 0, z] });

describe('the description of a series', () => {
  it('tells spacing, thickness, coverage and plane', () => {
    expect(described({ sliceThickness: 2.5 })).toMatchObject({
      fault: undefined, spacingMm: 2, thicknessMm: 2.5, coverageMm: 38, plane: 'axial', obliquityDegrees: 0, tiltDegrees: 0, leftOut: { localizers: 0, strays: 0, duplicates: 0 },
    });
  });

  it('is the same for shuffled slices, and for one enhanced object but for the frames\' names', () => {
    expect(described({ shuffle: 9 })).toEqual(described());
    const { frames: _, ...plain } = described();
    expect(described({ enhanced: true, shuffle: 2 })).toMatchObject(plain);
  });

  it('says between which slices some are missing', () => {
    expect(described({ drop: [7, 8] }).fault).toEqual({ kind: 'gap', detail: '2 slices are missing between slices 7 and 8, the first at z = -38 mm, the second at z = -32 mm' });
    expect(described({ drop: [7, 8], enhanced: true }).fault?.kind).toBe('gap');
    expect(described({ drop: [3, 9, 10] }).fault?.detail).toContain('2 such places');
  });

  it('does not mind a series that begins or ends early', () => {
    expect(described({ drop: [0, 1, 19] })).toMatchObject({ fault: undefined, coverageMm: 32 });
  });

  it('refuses mixed spacings', () => {
    const { fault } = described({ perSlice: (slice) => zOf(slice < 10 ? slice * 2 : 20 + (slice - 10) * 3) });
    expect(fault).toMatchObject({ kind: 'uneven' });
    expect(fault?.detail).toContain('apart, but');
  });

  it('bears positions that were rounded', () => {
    expect(described({ perSlice: (slice) => zOf(Math.round(slice * 0.625 * 10) / 10) })).toMatchObject({ fault: undefined, spacingMm: 11.9 / 19 });
  });

  it('takes a slice once that was sent twice', () => {
    expect(described({ duplicate: [4, 5] })).toMatchObject({ fault: undefined, leftOut: { duplicates: 2 } });
    expect(described({ duplicate: [4, 5], shuffle: 1 }).frames).toEqual(described().frames);
  });

  it('refuses several volumes at the same places', () => {
    const phases = [1, 2, 3].flatMap((phase) => sources({ modality: 'CT', series: `phase ${phase}`, fields: { TemporalPositionIdentifier: phase } }));
    expect(describeSeries(phases).fault).toEqual({ kind: 'several-volumes', detail: 'The series holds 3 volumes of 20 slices at the same places' });
    const overlap = [...sources({ modality: 'CT', fields: { AcquisitionNumber: 1 } }), ...sources({ modality: 'CT', series: 'b', fields: { AcquisitionNumber: 2 } }).slice(0, 5)];
    expect(describeSeries(overlap).fault).toMatchObject({ kind: 'several-volumes', detail: '5 of 20 places have slices of several acquisitions, the first at z = -50 mm' });
  });

  it('leaves scouts out, marked or of another shape', () => {
    const scout = { modality: 'CT', series: 'scout', fields: { ImageOrientationPatient: [1, 0, 0, 0, 0, -1] } } as const;
    const marked = sources({ ...scout, fields: { ...scout.fields, ImageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] } }).slice(0, 2);
    expect(describeSeries([...marked, ...sources({ modality: 'CT' })])).toMatchObject({ fault: undefined, leftOut: { localizers: 2 } });
    expect(describeSeries([...sources(scout).slice(0, 1), ...sources({ modality: 'CT' })])).toMatchObject({ fault: undefined, leftOut: { strays: 1 } });
    expect(describeSeries(marked)).toMatchObject({ fault: undefined, frames: [] });
  });

  it('refuses images of several shapes', () => {
    const upright = sources({ modality: 'CT', series: 'b', fields: { ImageOrientationPatient: [1, 0, 0, 0, 0, -1] } });
    expect(describeSeries([...sources({ modality: 'CT' }), ...upright]).fault).toEqual({ kind: 'mixed', detail: 'The images have several orientations (20 and 20 images)' });
    expect(described({ perSlice: (slice) => ({ PixelSpacing: slice < 12 ? [1, 1] : [0.5, 0.5] }) }).fault?.detail).toBe('The images have several pixel spacings (12 and 8 images)');
    expect(described({ perSlice: (slice) => ({ Rows: slice < 12 ? 3 : 4 }) }).fault?.detail).toBe('The images have several sizes (12 and 8 images)');
  });

  it('refuses images that do not say where they lie', () => {
    expect(described({ fields: { ImagePositionPatient: undefined } }).fault?.kind).toBe('no-place');
    expect(described({ fields: { ImageOrientationPatient: [0, 0, 0, 0, 0, 0] } }).fault?.kind).toBe('no-place');
    expect(described({ fields: { ImageOrientationPatient: [1, 0, 0, 1, 0, 0] } }).fault?.kind).toBe('no-place');
    expect(described({ fields: { PixelSpacing: [0, 0] } }).fault?.kind).toBe('no-place');
  });

  it('measures the tilt of a gantry and keeps it in the grid', () => {
    const tilted = described({}, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 2 * Math.tan(Math.PI / 9), 2, -50]].map((row, y) => (y === 1 ? [0, 1, 2 * Math.tan(Math.PI / 9), 0] : y === 2 ? [0, 0, 2, -50] : row)) as unknown as SourceVolume['affine']);
    expect(tilted.fault).toBeUndefined();
    expect(tilted.tiltDegrees).toBeCloseTo(20, 1);
    expect(tilted.spacingMm).toBeCloseTo(2, 6);
    expect(tilted.grid?.affine[1][2]).toBeCloseTo(2 * Math.tan(Math.PI / 9), 6);
  });

  it('refuses slices that lie aside of the others', () => {
    expect(described({ perSlice: (slice) => ({ ImagePositionPatient: [slice === 8 ? 6 : 0, 0, slice * 2] }) }).fault).toMatchObject({ kind: 'uneven', detail: 'Slice 9, at z = 16 mm, does not lie in line with the others' });
  });

  it('tells sagittal and oblique stacks', () => {
    expect(described({}, [[0, 0, 2, 0], [1, 0, 0, 0], [0, -1, 0, 0]])).toMatchObject({ plane: 'sagittal', obliquityDegrees: 0 });
    const c = Math.cos(Math.PI / 6);
    const s = Math.sin(Math.PI / 6);
    expect(described({}, [[1, 0, 0, 0], [0, c, -s * 2, 0], [0, s, c * 2, 0]])).toMatchObject({ plane: 'axial', obliquityDegrees: 30 });
  });

  it('has no grid for a single slice', () => {
    expect(described({ drop: Array.from({ length: 19 }, (_, i) => i) })).toMatchObject({ fault: undefined, grid: undefined, spacingMm: undefined, frames: [{ frame: 1 }] });
  });

  it('counts 20,000 slices and looks at none', () => {
    const [one] = sources({ modality: 'CT' });
    const many = Array.from({ length: 20_000 }, (_, i) => ({ sopInstanceUid: `1.${String(i)}`, attributes: one?.attributes ?? {} }));
    const started = performance.now();
    expect(describeSeries(many).fault).toEqual({ kind: 'too-many', detail: 'The series has 20000 frames; more than 10000 are not read' });
    expect(describeSeries([{ sopInstanceUid: '1.2', attributes: { ...one?.attributes, '00280008': { vr: 'IS', Value: [2_000_000_000] } } }]).fault?.kind).toBe('too-many');
    expect(performance.now() - started).toBeLessThan(200);
  });
});
