import { number } from '../../dicom/attributes.js';
import type { SlicePlace } from '../../volume/slices.js';
import type { Segmentation } from '../../analyses/analysis.js';
import type { Fields } from '../data-set.js';
import { codeItem } from '../sr/content.js';
import { SEGMENTATION, SOURCE_IMAGE } from './codes.js';
import type { SegFrame } from './frames.js';
import { sliceDistance, type Plane, type SourceFrame } from './planes.js';

const SEGMENT_IDENTIFICATION = '0062000A';
const REFERENCED_SEGMENT_NUMBER = '0062000B';
const PLANE_POSITION = '00209113';
const IMAGE_POSITION = '00200032';

/**
 * What orders the frames and what holds for each: first by segment, then by place. What is the same for all of them stands in the shared groups.
 *
 * @see PS3.3 C.7.6.16, C.7.6.17
 */
export function functionalGroups(
  { frames, planes, segmentation, isLabelMap }: { frames: readonly SegFrame[]; planes: readonly Plane[]; segmentation: Segmentation; isLabelMap: boolean }, dimensionsUid: string,
): Fields {
  const shown = frames.flatMap((frame) => planes[frame.slice] ?? []);
  const oriented = sameForAll(shown.map(({ place }) => orientationGroup(place)));
  const measured = sameForAll(shown.map((plane) => measuresGroup(plane, segmentation)));
  const ranks = new Map([...new Set(frames.map(({ slice }) => slice))].sort((a, b) => a - b).map((slice, index) => [slice, index + 1]));
  return {
    DimensionOrganizationSequence: [{ DimensionOrganizationUID: dimensionsUid }],
    DimensionIndexSequence: [
      ...(isLabelMap ? [] : [dimension(REFERENCED_SEGMENT_NUMBER, SEGMENT_IDENTIFICATION, dimensionsUid, 'Segment')]),
      dimension(IMAGE_POSITION, PLANE_POSITION, dimensionsUid, 'Position'),
    ],
    SharedFunctionalGroupsSequence: [{ ...oriented, ...measured }],
    PerFrameFunctionalGroupsSequence: frames.map(({ segment, slice }, index): Fields => {
      const plane = shown[index];
      const rank = ranks.get(slice) ?? 1;
      return {
        ...(plane?.source && { DerivationImageSequence: [derivation(plane.source)] }),
        FrameContentSequence: [{ DimensionIndexValues: segment === null ? [rank] : [segment.number, rank] }],
        ...(plane && {
          PlanePositionSequence: [{ ImagePositionPatient: [...plane.place.position] }],
          ...(oriented === undefined && orientationGroup(plane.place)),
          ...(measured === undefined && measuresGroup(plane, segmentation)),
        }),
        ...(segment && { SegmentIdentificationSequence: [{ ReferencedSegmentNumber: segment.number }] }),
      };
    }),
  };
}

function dimension(pointer: string, group: string, dimensionsUid: string, label: string): Fields {
  return { DimensionOrganizationUID: dimensionsUid, DimensionIndexPointer: pointer, FunctionalGroupPointer: group, DimensionDescriptionLabel: label };
}

function sameForAll(groups: readonly Fields[]): Fields | undefined {
  const [first] = groups;
  const text = JSON.stringify(first);
  return groups.every((group) => JSON.stringify(group) === text) ? first : undefined;
}

function orientationGroup({ across, down }: SlicePlace): Fields {
  return { PlaneOrientationSequence: [{ ImageOrientationPatient: [...across, ...down] }] };
}

/** Slices are as thick as those of the source, where it says so. */
function measuresGroup({ place: { spacing: [betweenColumns, betweenRows] }, source }: Plane, { grid }: Segmentation): Fields {
  const distance = sliceDistance(grid);
  return { PixelMeasuresSequence: [{ SliceThickness: thicknessOf(source) ?? distance, SpacingBetweenSlices: distance, PixelSpacing: [betweenRows, betweenColumns] }] };
}

function thicknessOf(source: SourceFrame | undefined): number | undefined {
  const thickness = source && number(source.instance.attributes, 'SliceThickness');
  return thickness !== undefined && thickness > 0 ? thickness : undefined;
}

/** @see PS3.3 C.7.6.16.2.6 */
function derivation({ instance, frame }: SourceFrame): Fields {
  return {
    SourceImageSequence: [{
      ReferencedSOPClassUID: instance.sopClassUid,
      ReferencedSOPInstanceUID: instance.sopInstanceUid,
      ...(frame !== undefined && { ReferencedFrameNumber: frame }),
      PurposeOfReferenceCodeSequence: [codeItem(SOURCE_IMAGE)],
      SpatialLocationsPreserved: 'YES',
    }],
    DerivationCodeSequence: [codeItem(SEGMENTATION)],
  };
}
