import type { NoduleFindings } from '../../model/manifests/nodule-findings.js';
import type { ModelLabel } from '../../model/manifest.js';
import type { Detection, Detections } from '../../recipes/recipe.js';
import { DEFAULT_CRITICAL_RULES, isCritical } from '../../report/critical.js';
import type { Attribute, Finding, Segment } from '../../report/finding.js';
import { summaryText } from '../../report/summary.js';
import { indexToLps, voxelVolumeMl } from '../../volume/geometry.js';
import type { Grid, Vector3, Volume } from '../../volume/volume.js';
import type { Conclusion, FrameRef, Segmentation } from '../analysis.js';
import { highestOf, lungRadsOf, type LungRadsCategory } from './lung-rads.js';
import { findLungs, insideLungs, placeOf, type Lungs, type Side, type Zone } from './lungs.js';
import { meanDiameterMm, measureNodule, type Attenuation, type Measured } from './measure.js';
import { segmentNodule, type Region } from './region.js';

/** The values of one byte; a label map of DICOM counts from 1. */
const MAX_NODULES = 255;

/** A CT with the frame of each slice. */
export type FramedVolume = Volume & { frames: readonly FrameRef[] };

interface Nodule {
  score: number;
  region: Region;
  measured: Measured;
  place: { side: Side; zone: Zone } | undefined;
  lungRads: LungRadsCategory;
}

export interface ConcludeTools {
  findings: NoduleFindings;
  label: Pick<ModelLabel, 'code'>;
  seriesInstanceUid: string;
  progress?: (done: number) => void;
}

/**
 * Findings of a detector's nodules: what lies outside of the lungs is dropped, duplicates become one, each is segmented and measured. The most certain comes first.
 *
 * @param ct  Hounsfield units, axial
 */
export function conclude(ct: FramedVolume, { detections, details }: Detections, { findings: options, label, seriesInstanceUid, progress = () => undefined }: ConcludeTools): Conclusion {
  const lungs = options.lungMask.enabled && detections.length > 0 ? findLungs(ct, options.lungMask) : undefined;
  progress(0.6);
  const sorted = [...detections].sort((a, b) => b.score - a.score);
  const inside = lungs ? sorted.filter(({ centre }) => insideLungs(lungs, centre, options.lungMask.marginMm)) : sorted;
  const { nodules, merged, notMeasurable, tooSmall } = distinct(ct, inside, lungs, options);
  const reported = nodules.slice(0, MAX_NODULES);
  const found = reported.map((nodule) => findingOf(nodule, ct, label));
  const segmentation = segmentationOf(reported, ct, seriesInstanceUid);
  const segments = segmentsOf(segmentation, reported);
  progress(1);
  return {
    kind: 'concluded',
    // A nodule's volume stands at its finding; the sentence counts nodules.
    summary: { text: summaryText({ analysis: 'lung-nodule-detection', findings: found.map((finding) => ({ ...finding, id: '' })), labels: [], segments: [] }, 'en'), critical: isCritical({ findings: found, labels: [] }, DEFAULT_CRITICAL_RULES) },
    findings: found,
    labels: [],
    segments,
    keyImage: keyImageOf(reported, ct),
    heatMaps: [],
    segmentation,
    details: {
      ...details,
      lungs: lungs ? { rightMl: Math.round(lungs.volumeMl.right), leftMl: Math.round(lungs.volumeMl.left) } : options.lungMask.enabled && detections.length > 0 ? 'not found' : 'not looked for',
      outsideLungs: sorted.length - inside.length,
      merged, notMeasurable, tooSmall,
      notReported: nodules.length - reported.length,
      lungRads: highestOf(reported.map(({ lungRads }) => lungRads)),
    },
  };
}

/** Each nodule once: a detection that lies in the nodule of a more certain one, or next to its centre, is the same. */
function distinct(ct: Volume, detections: readonly Detection[], lungs: Lungs | undefined, options: NoduleFindings): { nodules: Nodule[]; merged: number; notMeasurable: number; tooSmall: number } {
  const nodules: Nodule[] = [];
  let [merged, notMeasurable, tooSmall] = [0, 0, 0];
  for (const detection of detections) {
    if (nodules.some((nodule) => holdsPoint(nodule.region, detection.centre))) {
      merged++;
      continue;
    }
    const segmented = segmentNodule(ct, detection, lungs, options);
    const result = segmented && measureNodule(segmented, options.solidity);
    if (result === undefined) {
      notMeasurable++;
      continue;
    }
    const { measured, region } = result;
    if (nodules.some((other) => holdsPoint(other.region, measured.centre) || apartMm(ct, other.measured.centre, measured.centre) <= options.mergeMm || overlaps(other.region, region))) {
      merged++;
      continue;
    }
    const diameterMm = meanDiameterMm(measured.axes);
    if (diameterMm < options.minDiameterMm) {
      tooSmall++;
      continue;
    }
    const lungRads = lungRadsOf({ attenuation: measured.attenuation, diameterMm, ...(measured.solidAxes && { solidDiameterMm: meanDiameterMm(measured.solidAxes) }) });
    nodules.push({ score: detection.score, region, measured, place: lungs && placeOf(lungs, measured.centre), lungRads });
  }
  return { nodules, merged, notMeasurable, tooSmall };
}

function holdsPoint({ box: [from, to], size, mask }: Region, point: Vector3): boolean {
  const [i, j, k] = [Math.round(point[0]), Math.round(point[1]), Math.round(point[2])];
  if (i < from[0] || j < from[1] || k < from[2] || i > to[0] || j > to[1] || k > to[2]) return false;
  return mask[i - from[0] + size[0] * (j - from[1] + size[1] * (k - from[2]))] === 1;
}

/** More than half of the smaller one. */
function overlaps(a: Region, b: Region): boolean {
  const small = count(a.mask) <= count(b.mask) ? a : b;
  const large = small === a ? b : a;
  let shared = 0;
  eachVoxel(small, (i, j, k) => { if (holdsPoint(large, [i, j, k])) shared++; });
  return shared > count(small.mask) / 2;
}

function eachVoxel({ box: [from], size: [columns, rows], mask }: Region, visit: (i: number, j: number, k: number) => void): void {
  for (let offset = 0; offset < mask.length; offset++) {
    if (mask[offset] === 1) visit(from[0] + (offset % columns), from[1] + (Math.floor(offset / columns) % rows), from[2] + Math.floor(offset / (columns * rows)));
  }
}

function count(mask: Uint8Array): number {
  let total = 0;
  for (const value of mask) total += value;
  return total;
}

function apartMm({ affine }: Grid, a: Vector3, b: Vector3): number {
  const [p, q] = [indexToLps(affine, a), indexToLps(affine, b)];
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
}

function findingOf({ score, region, measured, place, lungRads }: Nodule, ct: FramedVolume, { code }: Pick<ModelLabel, 'code'>): Omit<Finding, 'id'> {
  const { axes, solidAxes, volumeMm3, meanHu, attenuation, centre } = measured;
  const frame = ct.frames[region.box[0][2] + axes.slice];
  const solid = solidAxes ? [{ name: 'solidDiameter', value: meanDiameterMm(solidAxes), unit: 'mm' }] : [];
  return {
    kind: 'nodule',
    code,
    score: rounded(score, 4),
    ...(frame && {
      location: {
        ...(ct.frameOfReferenceUid !== undefined && { frameOfReferenceUid: ct.frameOfReferenceUid }),
        center: pointOf(indexToLps(ct.affine, centre)),
        box: boxOf(region, ct),
        sopInstanceUid: frame.sopInstanceUid,
        frame: frame.frame,
      },
    }),
    measurements: [
      { name: 'diameter', value: meanDiameterMm(axes), unit: 'mm' },
      { name: 'longAxis', value: rounded(axes.longMm, 1), unit: 'mm' },
      { name: 'shortAxis', value: rounded(axes.shortMm, 1), unit: 'mm' },
      ...solid,
      { name: 'volume', value: Math.round(volumeMm3), unit: 'mm3' },
      { name: 'meanAttenuation', value: Math.round(meanHu), unit: 'HU' },
    ],
    attributes: attributesOf(attenuation, place, lungRads),
  };
}

// RadLex 4: kinds of pulmonary nodule. SNOMED CT: DICOM PS3.16 CID 244, Laterality.
const ATTENUATION_CODES: Readonly<Record<Attenuation, NonNullable<Attribute['code']>>> = {
  'solid': { system: 'RADLEX', value: 'RID50151', meaning: 'solid pulmonary nodule' },
  'part-solid': { system: 'RADLEX', value: 'RID50152', meaning: 'part-solid pulmonary nodule' },
  'ground-glass': { system: 'RADLEX', value: 'RID50153', meaning: 'non-solid pulmonary nodule' },
};
const SIDE_CODES: Readonly<Record<Side, NonNullable<Attribute['code']>>> = {
  right: { system: 'SNOMED-CT', value: '24028007', meaning: 'Right' },
  left: { system: 'SNOMED-CT', value: '7771000', meaning: 'Left' },
};
const LATERALITY = { system: 'SNOMED-CT', value: '272741003', meaning: 'Laterality' };

function attributesOf(attenuation: Attenuation, place: Nodule['place'], lungRads: LungRadsCategory): Attribute[] {
  return [
    { name: 'attenuation', value: attenuation, code: ATTENUATION_CODES[attenuation] },
    ...(place ? [{ name: 'side', value: place.side, concept: LATERALITY, code: SIDE_CODES[place.side] }, { name: 'zone', value: place.zone }] : []),
    { name: 'lungRads', value: lungRads },
  ];
}

/** Around the voxels, their whole width, in LPS. */
function boxOf({ box: [from], size: [columns, rows, slices], mask }: Region, { affine }: Grid): [[number, number, number], [number, number, number]] {
  const [low, high]: [[number, number, number], [number, number, number]] = [[columns, rows, slices], [-1, -1, -1]];
  for (let offset = 0; offset < mask.length; offset++) {
    if (mask[offset] === 0) continue;
    for (const [axis, at] of [offset % columns, Math.floor(offset / columns) % rows, Math.floor(offset / (columns * rows))].entries()) {
      low[axis] = Math.min(low[axis] ?? 0, at);
      high[axis] = Math.max(high[axis] ?? 0, at);
    }
  }
  const corners = [low[0] - 0.5, high[0] + 0.5].flatMap((i) => [low[1] - 0.5, high[1] + 0.5].flatMap((j) => [low[2] - 0.5, high[2] + 0.5].map((k) => indexToLps(affine, [from[0] + i, from[1] + j, from[2] + k]))));
  const bound = (of: (...values: number[]) => number): [number, number, number] => pointOf([of(...corners.map(([x]) => x)), of(...corners.map(([, y]) => y)), of(...corners.map(([, , z]) => z))]);
  return [bound(Math.min), bound(Math.max)];
}

function segmentationOf(nodules: readonly Nodule[], ct: FramedVolume, seriesInstanceUid: string): Segmentation | null {
  if (nodules.length === 0) return null;
  const { size, affine, frameOfReferenceUid } = ct;
  const labels = new Uint8Array(size[0] * size[1] * size[2]);
  for (const [n, { region }] of nodules.entries()) {
    eachVoxel(region, (i, j, k) => {
      const offset = i + size[0] * (j + size[1] * k);
      // Where two touch, the more certain one keeps the voxel.
      if (labels[offset] === 0) labels[offset] = n + 1;
    });
  }
  return { grid: { size, affine, ...(frameOfReferenceUid !== undefined && { frameOfReferenceUid }) }, seriesInstanceUid, frames: [...ct.frames], labels, members: nodules.map((_, n) => ({ segment: n + 1, values: [n + 1] })) };
}

/** A segment's volume is that of its mask: of a nodule that touches a more certain one, without the voxels that it shares. */
function segmentsOf(segmentation: Segmentation | null, nodules: readonly Nodule[]): Segment[] {
  if (segmentation === null) return [];
  const { labels, members, grid: { size, affine } } = segmentation;
  return members.map(({ segment }, n) => {
    let voxels = 0;
    // The whole grid has tens of millions of voxels, of which a nodule's box is next to nothing.
    if (nodules[n]) eachVoxel(nodules[n].region, (i, j, k) => { if (labels[i + size[0] * (j + size[1] * k)] === segment) voxels++; });
    return { number: segment, name: `Nodule ${segment}`, volumeMl: rounded(voxels * voxelVolumeMl(affine), 3) };
  });
}

/** The slice of the first finding; without one the middle of the series. */
function keyImageOf([first]: readonly Nodule[], { frames }: FramedVolume): FrameRef | null {
  const slice = first ? first.region.box[0][2] + first.measured.axes.slice : Math.floor(frames.length / 2);
  const frame = frames[slice];
  return frame ? { sopInstanceUid: frame.sopInstanceUid, frame: frame.frame } : null;
}

function pointOf([x, y, z]: Vector3): [number, number, number] {
  return [rounded(x, 2), rounded(y, 2), rounded(z, 2)];
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
