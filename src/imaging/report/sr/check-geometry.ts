import { number, numbers, sequence, text } from '../../dicom/attributes.js';
import { lpsToIndex } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import type { DerivedSource } from '../derived.js';
import type { Finding } from '../finding.js';
import { trackingUidOf } from '../tracking.js';
import { NAMES } from './concepts.js';
import { apart, frameFinder, heightOver, ontoSlice, pixelOf, reachMm, type SourceFrame } from './places.js';
import { childrenNamed, everyItem, measurementGroups, type ContentItem, type Report } from './tree.js';

/** Coordinates are written as 32-bit floats; positions of slices have a few decimals. */
const ROUNDING_MM = 0.05;
const ROUNDING_PIXELS = 0.05;

/** Regions lie in the slice that is named, around the finding, in the volume, in its frame of reference. */
export function checkGeometry(root: ContentItem, source: DerivedSource, report: Report): void {
  const frameAt = frameFinder(source);
  const groups = measurementGroups(root, NAMES.measurements, NAMES.group);
  for (const finding of source.findings) {
    const frame = finding.location && frameAt(finding.location);
    if (finding.location && frame === undefined) report('reference', 'A finding lies on an image that is not there');
    if (finding.location?.center === undefined || frame?.place === undefined) continue;
    const uid = trackingUidOf(source.resultId, finding.id);
    const own = groups.filter((group) => childrenNamed(group, NAMES.trackingUid).some(({ json }) => text(json, 'UID') === uid));
    const regions = own.flatMap((group) => childrenNamed(group, NAMES.region));
    if (regions.length !== 1) report('geometry', `A finding has ${String(regions.length)} regions`);
    for (const region of regions) checkRegion(region, finding, { frame, place: frame.place, center: finding.location.center }, source, report);
  }
  for (const item of everyItem(root)) if (item.valueType === 'SCOORD' && item.relationship === 'INFERRED FROM') checkImageRegion(item, frameAt, report);
}

interface Where {
  frame: SourceFrame;
  place: NonNullable<SourceFrame['place']>;
  center: Vector3;
}

function checkRegion(region: ContentItem, finding: Finding, where: Where, source: DerivedSource, report: Report): void {
  const { path, json, valueType } = region;
  if (text(json, 'GraphicType') !== 'ELLIPSE') report('geometry', `Region ${path} is no ellipse`);
  const frameOfReference = finding.location?.frameOfReferenceUid ?? where.frame.frameOfReferenceUid;
  if (valueType === 'SCOORD') {
    if (frameOfReference !== undefined) report('geometry', `Region ${path} is on an image although there is a frame of reference`);
    checkOnImage(region, where, report);
    return;
  }
  const named = text(json, 'ReferencedFrameOfReferenceUID');
  const others = [where.frame.frameOfReferenceUid, source.segmentation?.grid.frameOfReferenceUid].filter((uid) => uid !== undefined);
  if (named === undefined || named !== frameOfReference || others.some((uid) => uid !== named)) report('reference', `Region ${path} is in another frame of reference than the images`);
  const points = pointsOf(numbers(json, 'GraphicData'));
  if (points?.length !== 4) {
    report('geometry', `Region ${path} has not four points`);
    return;
  }
  checkInPatient(path, points, finding, where, source, report);
}

function checkInPatient(path: string, points: readonly Vector3[], finding: Finding, { place, center, frame }: Where, { segmentation }: DerivedSource, report: Report): void {
  const middle = meanOf(points);
  const reach = reachMm(finding);
  if (points.some((point) => Math.abs(heightOver(place, point)) > ROUNDING_MM)) report('geometry', `Region ${path} does not lie in the slice of its finding`);
  if (apart(middle, ontoSlice(place, center)) > ROUNDING_MM) report('geometry', `Region ${path} does not lie around its finding`);
  if (points.some((point) => Math.abs(apart(point, middle) - reach) > ROUNDING_MM)) report('geometry', `Region ${path} has another size than its finding`);
  if (Math.abs(heightOver(place, center)) > farthestMm(finding)) report('geometry', `The slice of region ${path} does not pass through its finding`);
  const size = segmentation?.grid.size ?? ([frame.columns ?? Infinity, frame.rows ?? Infinity, Infinity] as const);
  const index: Vector3 = segmentation === null ? [...pixelOf(place, middle), 0] : lpsToIndex(segmentation.grid, middle);
  if (([0, 1, 2] as const).some((axis) => !(index[axis] >= -1 && index[axis] <= size[axis]))) report('geometry', `Region ${path} lies outside of the volume`);
}

/** From the centre of a finding to its end: half the diagonal of its box, or twice its reach for one that is longer than wide. */
function farthestMm(finding: Finding): number {
  const box = finding.location?.box;
  return 5 + (box === undefined ? 2 * reachMm(finding) : apart(box[0], box[1]) / 2);
}

/** The same in pixels. Coordinates count from the corner of the first one. */
function checkOnImage({ path, json, children }: ContentItem, { place, center, frame }: Where, report: Report): void {
  const image = children.flatMap((child) => sequence(child.json, 'ReferencedSOPSequence'))[0];
  if (image === undefined || text(image, 'ReferencedSOPInstanceUID') !== frame.instance.sopInstanceUid || (number(image, 'ReferencedFrameNumber') ?? 1) !== frame.frame) report('reference', `Region ${path} is on another image than its finding`);
  const data = numbers(json, 'GraphicData');
  const [column, row] = pixelOf(place, center);
  const mean = (offset: 0 | 1): number => (data[offset] ?? NaN) / 4 + (data[offset + 2] ?? NaN) / 4 + (data[offset + 4] ?? NaN) / 4 + (data[offset + 6] ?? NaN) / 4;
  if (data.length !== 8 || !(Math.hypot(mean(0) - column - 0.5, mean(1) - row - 0.5) <= ROUNDING_PIXELS)) report('geometry', `Region ${path} does not lie around its finding`);
}

/** Points on an image are on it. */
function checkImageRegion({ path, json, children }: ContentItem, frameAt: ReturnType<typeof frameFinder>, report: Report): void {
  const image = children.flatMap((child) => sequence(child.json, 'ReferencedSOPSequence'))[0];
  const frame = image && frameAt({ sopInstanceUid: text(image, 'ReferencedSOPInstanceUID') ?? '', frame: number(image, 'ReferencedFrameNumber') ?? 1 });
  if (frame === undefined) {
    report('reference', `Region ${path} is on no image that was read`);
    return;
  }
  const data = numbers(json, 'GraphicData');
  const inside = data.length >= 2 && data.length % 2 === 0 && data.every((value, n) => value >= 0 && value <= ((n % 2 === 0 ? frame.columns : frame.rows) ?? Infinity));
  if (!inside) report('geometry', `Region ${path} reaches beyond its image`);
}

function pointsOf(data: readonly number[]): Vector3[] | undefined {
  if (data.length % 3 !== 0) return undefined;
  return Array.from({ length: data.length / 3 }, (_, n): Vector3 => [data[3 * n] ?? NaN, data[3 * n + 1] ?? NaN, data[3 * n + 2] ?? NaN]);
}

function meanOf(points: readonly Vector3[]): Vector3 {
  const mean = (axis: 0 | 1 | 2): number => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return [mean(0), mean(1), mean(2)];
}
