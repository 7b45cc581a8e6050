import type { DerivedSource } from '../derived.js';
import { ownSegments } from '../sr/places.js';
import { dicomSegmentsOf } from './segments.js';

/**
 * A reviewed result with the segments that stand: without those that a person disagrees with, and those whose finding was rejected. Where nothing that the
 * model found stands, what it segmented does so only when a person says so of the segment itself. A segment stays that of its finding, however that was edited.
 */
export function asItStands(source: DerivedSource): DerivedSource {
  const { original, findings, segments } = source;
  if (original === undefined) return source;
  const asMade = { segments, segmentation: source.segmentation, findings: original };
  const described = dicomSegmentsOf(asMade);
  const standing = new Set(findings.map(({ id }) => id));
  const own = new Map([...ownSegments(asMade)].map(([finding, number]) => [described[number - 1]?.segment.number, finding]));
  const noneStands = original.length > 0 && original.every(({ id }) => !standing.has(id));
  return {
    ...source,
    owners: new Map(described.flatMap(({ segment, finding }) => (finding ? [[segment.number, finding.id] as const] : []))),
    segments: segments.filter(({ number, review }) => {
      if (review?.state === 'disagreed') return false;
      const owner = own.get(number);
      if (owner !== undefined) return standing.has(owner);
      return !noneStands || (review?.state === 'agreed' && review.bySignOff !== true);
    }),
  };
}
