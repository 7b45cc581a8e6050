import { number, numbers, sequence, text } from '../../dicom/attributes.js';
import type { DerivedSource } from '../derived.js';
import { dicomSegmentsOf } from '../seg/segments.js';
import { trackingUidOf } from '../tracking.js';
import { NAMES } from './concepts.js';
import type { SegReference } from './groups.js';
import { frameFinder, ownSegments } from './places.js';
import { childrenNamed, everyItem, isNamed, measurementGroups, type ContentItem, type Report } from './tree.js';

/** Images are those that were read, with frames that they have; segments are those of the segmentation; the library lists every image once. */
export function checkReferences(root: ContentItem, source: DerivedSource, seg: SegReference | null, report: Report): void {
  const frameAt = frameFinder(source);
  const classes = new Map(source.instances.map(({ sopInstanceUid, sopClassUid }) => [sopInstanceUid, sopClassUid]));
  const numbersOfSegments = new Set(dicomSegmentsOf(source).map((segment) => segment.number));
  for (const item of everyItem(root)) {
    if (item.valueType !== 'IMAGE') continue;
    for (const reference of sequence(item.json, 'ReferencedSOPSequence')) {
      const [uid, sopClassUid] = [text(reference, 'ReferencedSOPInstanceUID') ?? '', text(reference, 'ReferencedSOPClassUID')];
      if (isNamed(item, NAMES.segment)) {
        if (uid !== seg?.sopInstanceUid || sopClassUid !== seg.sopClassUid) report('reference', `Item ${item.path} names another segmentation`);
        const [segment, ...more] = numbers(reference, 'ReferencedSegmentNumber');
        if (segment === undefined || more.length > 0 || !numbersOfSegments.has(segment)) report('reference', `Item ${item.path} names no segment, or one that is not there`);
        continue;
      }
      if (!classes.has(uid)) report('reference', `Item ${item.path} names an image that was not read`);
      else if (classes.get(uid) !== sopClassUid) report('reference', `Item ${item.path} names an image with another class`);
      else if (frameAt({ sopInstanceUid: uid, frame: number(reference, 'ReferencedFrameNumber') ?? 1 }) === undefined) report('reference', `Item ${item.path} names a frame that is not there`);
    }
  }
  checkLibrary(root, source, report);
  checkSegments(root, source, seg, report);
}

function checkLibrary(root: ContentItem, { instances }: DerivedSource, report: Report): void {
  const listed = childrenNamed(root, NAMES.imageLibrary).flatMap((library) => childrenNamed(library, NAMES.imageLibraryGroup)).flatMap((group) => childrenNamed(group, NAMES.source))
    .flatMap(({ json }) => sequence(json, 'ReferencedSOPSequence').map((reference) => text(reference, 'ReferencedSOPInstanceUID') ?? ''));
  const distinct = new Set(listed);
  if (listed.length !== distinct.size || distinct.size !== instances.length || instances.some(({ sopInstanceUid }) => !distinct.has(sopInstanceUid))) report('reference', 'The image library does not list every image that was read once');
}

/** A finding's volumetric group names the segment around the finding. */
function checkSegments(root: ContentItem, source: DerivedSource, seg: SegReference | null, report: Report): void {
  const own = seg === null ? new Map<string, number>() : ownSegments(source);
  const expected = new Map([...own].map(([finding, segment]) => [trackingUidOf(source.resultId, finding), segment]));
  for (const group of measurementGroups(root, NAMES.measurements, NAMES.group)) {
    for (const { json, path } of childrenNamed(group, NAMES.segment)) {
      const uid = childrenNamed(group, NAMES.trackingUid).map((item) => text(item.json, 'UID') ?? '')[0] ?? '';
      const named = sequence(json, 'ReferencedSOPSequence').map((reference) => number(reference, 'ReferencedSegmentNumber'))[0];
      if (expected.get(uid) !== named) report('reference', `Item ${path} names the segment of another finding`);
    }
    for (const { json, path } of childrenNamed(group, NAMES.segmentSeries)) {
      if (text(json, 'UID') !== source.segmentation?.seriesInstanceUid) report('reference', `Item ${path} names another series than the one that was segmented`);
    }
  }
}
