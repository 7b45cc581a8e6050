import type { Segmentation } from '../../analyses/analysis.js';
import { indexToLps, lpsToIndex, voxelVolumeMl } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import type { DerivedSource } from '../derived.js';
import type { Finding, Segment } from '../finding.js';
import { extentsOf, unionOf, type Extent, type Extents } from './extents.js';

/** A segment as a Segmentation object has it. */
export interface DicomSegment {
  /** From 1 without gaps, as PS3.3 C.8.20.2 wants it; may differ from the result's own number. */
  number: number;
  segment: Segment;
  /** Of the label map. */
  values: readonly number[];
  /** Undefined where no voxel has one of the values. */
  extent: Extent | undefined;
  /** The finding that is this segment and nothing else. */
  finding: Finding | undefined;
  /** What `trackingUidOf` is asked for. */
  trackingKey: string;
}

/** Where segments overlap, the finding's own volume may be that much away from its segment's: both are rounded. */
const SAME_VOLUME = 0.02;
/** A nodule is measured between the slices as well: one that a single slice shows may be thinner than that. */
const MOST_OF_VOLUME = 8;
/** Of nodules that touch, one keeps the voxels; those that share more than half are one. */
const LEAST_SHARE = 0.5;

/**
 * Segments of a result that have a mask, in the order of their numbers, each with the finding that it shows. For the SR, which refers to
 * segments by number. One pass over the label map unless `extents` are given.
 */
export function dicomSegmentsOf(source: Pick<DerivedSource, 'segments' | 'findings' | 'segmentation' | 'owners'>, extents?: Extents): DicomSegment[] {
  const { segmentation, segments, findings, owners } = source;
  if (segmentation === null) return [];
  const known = extents ?? extentsOf(segmentation.labels, segmentation.grid.size);
  const described = [...segments].sort((a, b) => a.number - b.number).flatMap((segment) => {
    const member = segmentation.members.find((one) => one.segment === segment.number);
    return member === undefined ? [] : [{ segment, values: member.values, extent: unionOf(known, member.values) }];
  });
  const taken = new Set<string>();
  return described.map(({ segment, values, extent }, index) => {
    if (owners !== undefined) return { number: index + 1, segment, values, extent, finding: findings.find(({ id }) => id === owners.get(segment.number)), trackingKey: owners.get(segment.number) ?? `segment ${String(segment.number)}` };
    const finding = extent && findingOf(extent, findings.filter(({ id }) => !taken.has(id)), segmentation, segmentsOverlap(described));
    if (finding) taken.add(finding.id);
    return { number: index + 1, segment, values, extent, finding, trackingKey: finding?.id ?? `segment ${String(segment.number)}` };
  });
}

/** Whether a voxel can belong to two segments. */
export function segmentsOverlap(segments: readonly { values: readonly number[] }[]): boolean {
  const all = segments.flatMap(({ values }) => [...new Set(values)]);
  return new Set(all).size < all.length;
}

/** The finding whose box holds the segment and whose volume is the segment's; the nearest of several. A region of several tumours is no one finding. */
function findingOf(extent: Extent, findings: readonly Finding[], { grid }: Segmentation, overlapping: boolean): Finding | undefined {
  const ml = extent.voxels * voxelVolumeMl(grid.affine);
  const centre = indexToLps(grid.affine, middleOf(extent));
  const candidates = findings.flatMap((finding) => {
    const volume = volumeMlOf(finding);
    const least = (volume ?? Infinity) * (overlapping ? 1 - SAME_VOLUME : LEAST_SHARE) - 0.01;
    if (volume === undefined || ml < least || ml > volume * (overlapping ? 1 + SAME_VOLUME : MOST_OF_VOLUME) + 0.01) return [];
    if (finding.location?.box === undefined || !holds(finding.location.box, extent, grid)) return [];
    const [low, high] = finding.location.box;
    return [{ finding, away: Math.hypot(...[0, 1, 2].map((axis) => ((low[axis] ?? 0) + (high[axis] ?? 0)) / 2 - (centre[axis] ?? 0))) }];
  });
  return candidates.sort((a, b) => a.away - b.away)[0]?.finding;
}

/** To within a voxel. A box along the axes of the patient is larger than that of an oblique grid. */
function holds([a, b]: NonNullable<NonNullable<Finding['location']>['box']>, { low, high }: Extent, grid: Segmentation['grid']): boolean {
  const corners = [a[0], b[0]].flatMap((x) => [a[1], b[1]].flatMap((y) => [a[2], b[2]].map((z) => lpsToIndex(grid, [x, y, z]))));
  return ([0, 1, 2] as const).every((axis) => {
    const along = corners.map((corner) => corner[axis]);
    return low[axis] >= Math.min(...along) - 1 && high[axis] <= Math.max(...along) + 1;
  });
}

/** Of the measurement called volume. */
export function volumeMlOf({ measurements }: Finding): number | undefined {
  const volume = measurements.find(({ name }) => name === 'volume');
  return volume && (volume.unit === 'mm3' ? volume.value / 1000 : volume.unit.toLowerCase() === 'ml' ? volume.value : undefined);
}

function middleOf({ low, high }: Extent): Vector3 {
  return [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2];
}
