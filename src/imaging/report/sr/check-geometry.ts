import { number, numbers, sequence, text } from '../../dicom/attributes.js';
import { lpsToIndex } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import type { Segmentation } from '../../analyses/analysis.js';
import type { DerivedSource } from '../derived.js';
import type { Finding } from '../finding.js';
import { trackingUidOf } from '../tracking.js';
import { NAMES } from './concepts.js';
import { apart, frameFinder, heightOver, pixelOf, reachMm, type SourceFrame } from './places.js';
import { childrenNamed, everyItem, measurementGroups, type ContentItem, type Report } from './tree.js';

/** Coordinates are written as 32-bit floats; positions of slices have a few decimals. */
const ROUNDING_MM = 0.05;
const ROUNDING_PIXELS = 0.05;

/** Regions lie on the slice that is named, around the finding; its centre lies in the volume, in its frame of reference. */
export function checkGeometry(root: ContentItem, source: DerivedSource, report: Report): void {
  const frameAt = frameFinder(source);
  const groups = measurementGroups(root, NAMES.measurements, NAMES.group);
  for (const finding of source.findings) {
    const frame = finding.location && frameAt(finding.location);
    if (finding.location && frame === undefined) report('reference', 'A finding lies on an image that is not there');
    if (finding.location?.center === undefined || frame?.place === undefined) continue;
    const uid = trackingUidOf(source.resultId, finding.id);
    const own = groups.filter((group) => childrenNamed(group, NAMES.trackingUid).some(({ json }) => text(json, 'UID') === uid));
    const where: Where = { frame, place: frame.place, center: finding.location.center, frameOfReference: finding.location.frameOfReferenceUid ?? frame.frameOfReferenceUid };
    const [regions, centers] = [NAMES.region, NAMES.center].map((name) => own.flatMap((group) => childrenNamed(group, name))) as [ContentItem[], ContentItem[]]; // two names
    if (regions.length !== 1 || centers.length !== (where.frameOfReference === undefined ? 0 : 1)) report('geometry', `A finding has ${String(regions.length)} regions and ${String(centers.length)} centres`);
    for (const region of regions) checkRegion(region, finding, where, report);
    // What a person has added may lie in another series than the one that was segmented.
    for (const center of centers) checkCenter(center, where, finding.review?.state === 'added' ? null : source.segmentation, report);
    if (Math.abs(heightOver(where.place, where.center)) > farthestMm(finding)) report('geometry', 'The slice of a finding does not pass through it');
  }
  for (const item of everyItem(root)) if (item.valueType === 'SCOORD' && item.relationship === 'INFERRED FROM') checkImageRegion(item, frameAt, report);
}

interface Where {
  frame: SourceFrame;
  place: NonNullable<SourceFrame['place']>;
  center: Vector3;
  frameOfReference: string | undefined;
}

/** A circle of the finding's size around its centre, on the image where it is measured. Coordinates count from the corner of the first pixel. */
function checkRegion({ path, json, children }: ContentItem, finding: Finding, { place, center, frame }: Where, report: Report): void {
  const image = children.flatMap((child) => sequence(child.json, 'ReferencedSOPSequence'))[0];
  if (image === undefined || text(image, 'ReferencedSOPInstanceUID') !== frame.instance.sopInstanceUid || (number(image, 'ReferencedFrameNumber') ?? 1) !== frame.frame) report('reference', `Region ${path} is on another image than its finding`);
  const data = numbers(json, 'GraphicData');
  if (text(json, 'GraphicType') !== 'ELLIPSE' || data.length !== 8) {
    report('geometry', `Region ${path} is no ellipse`);
    return;
  }
  const ends = [0, 2, 4, 6].map((at): [number, number] => [data[at] ?? NaN, data[at + 1] ?? NaN]);
  const middle = ([0, 1] as const).map((axis) => ends.reduce((sum, end) => sum + end[axis], 0) / 4);
  const [column = NaN, row = NaN] = middle.map((value) => value - 0.5);
  const wanted = pixelOf(place, center);
  if (!(Math.hypot(column - wanted[0], row - wanted[1]) <= ROUNDING_PIXELS)) report('geometry', `Region ${path} does not lie around its finding`);
  const reach = ends.map((end) => Math.hypot((end[0] - 0.5 - column) * place.spacing[0], (end[1] - 0.5 - row) * place.spacing[1]));
  if (reach.some((mm) => !(Math.abs(mm - reachMm(finding)) <= ROUNDING_MM))) report('geometry', `Region ${path} has another size than its finding`);
  if (!(column >= -1 && row >= -1 && column <= (frame.columns ?? Infinity) && row <= (frame.rows ?? Infinity))) report('geometry', `Region ${path} lies beside its image`);
}

/** The finding's centre, inside of the volume. */
function checkCenter({ path, json }: ContentItem, { frame, center, frameOfReference }: Where, segmentation: Segmentation | null, report: Report): void {
  const named = text(json, 'ReferencedFrameOfReferenceUID');
  const others = [frame.frameOfReferenceUid, segmentation?.grid.frameOfReferenceUid].filter((uid) => uid !== undefined);
  if (named === undefined || named !== frameOfReference || others.some((uid) => uid !== named)) report('reference', `Centre ${path} is in another frame of reference than the images`);
  const [x, y, z, ...more] = numbers(json, 'GraphicData');
  if (text(json, 'GraphicType') !== 'POINT' || x === undefined || y === undefined || z === undefined || more.length > 0) {
    report('geometry', `Centre ${path} is no point`);
    return;
  }
  if (apart([x, y, z], center) > ROUNDING_MM) report('geometry', `Centre ${path} is not that of its finding`);
  if (segmentation === null) return;
  const { grid } = segmentation;
  const index = lpsToIndex(grid, [x, y, z]);
  if (([0, 1, 2] as const).some((axis) => !(index[axis] >= -1 && index[axis] <= grid.size[axis]))) report('geometry', `Centre ${path} lies outside of the volume`);
}

/** From the centre of a finding to its end: half the diagonal of its box, or twice its reach for one that is longer than wide. */
function farthestMm(finding: Finding): number {
  const box = finding.location?.box;
  return 5 + (box === undefined ? 2 * reachMm(finding) : apart(box[0], box[1]) / 2);
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
