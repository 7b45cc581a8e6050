import type { Fields } from '../data-set.js';
import type { Finding } from '../finding.js';
import { NAMES } from './concepts.js';
import { spatial2d, spatial3d } from './content.js';
import { ontoSlice, pixelOf, plus, reachMm, type SourceFrame } from './places.js';

/**
 * A circle around a finding on the image where it is measured, and its centre in millimetres of the frame of reference, if the source names
 * one. Viewers draw a circle whatever axis comes first; of an ellipse with a horizontal long axis some draw nothing.
 *
 * @returns nothing where the source does not say where the slice lies
 */
export function marksOf(finding: Finding, frame: SourceFrame): Fields[] {
  const { location } = finding;
  const { place } = frame;
  if (location?.center === undefined || place === undefined) return [];
  const radius = reachMm(finding);
  const middle = ontoSlice(place, location.center);
  const ends = [plus(middle, place.down, -radius), plus(middle, place.down, radius), plus(middle, place.across, -radius), plus(middle, place.across, radius)];
  const circle = spatial2d('CONTAINS', NAMES.region, 'ELLIPSE', ends.map((end) => onImage(pixelOf(place, end))), imageOf(frame));
  const frameOfReference = location.frameOfReferenceUid ?? frame.frameOfReferenceUid;
  return [circle, ...(frameOfReference === undefined ? [] : [spatial3d(NAMES.center, 'POINT', [location.center], frameOfReference)])];
}

/** The whole of a frame, for what is said of an image and not of a place in it. */
export function wholeImage(frame: SourceFrame, relationship: 'CONTAINS' | 'INFERRED FROM'): Fields | undefined {
  const { columns, rows } = frame;
  if (columns === undefined || rows === undefined) return undefined;
  return spatial2d(relationship, NAMES.region, 'POLYLINE', [[0, 0], [columns, 0], [columns, rows], [0, rows], [0, 0]], imageOf(frame));
}

export function imageOf({ instance: { sopClassUid, sopInstanceUid }, frame, frames }: SourceFrame): { sopClassUid: string; sopInstanceUid: string; frame?: number } {
  return { sopClassUid, sopInstanceUid, ...(frames > 1 && { frame }) };
}

/** Half a pixel: coordinates on an image count from the corner of the first one. */
function onImage([column, row]: readonly [number, number]): [number, number] {
  return [column + 0.5, row + 0.5];
}

