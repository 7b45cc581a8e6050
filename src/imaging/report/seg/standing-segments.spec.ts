import { describe, expect, it } from 'vitest';
import { noduleSource, SEG, tumourSource } from '../../../../test/support/sr-sources.js';
import { numbers, sequence, text } from '../../dicom/attributes.js';
import { parseInstanceBytes } from '../../dicom/header.js';
import { checkSr } from '../check-sr.js';
import type { DerivedSource } from '../derived.js';
import type { Finding, FindingReview } from '../finding.js';
import { throughGate } from '../gate.js';
import { NAMES } from '../sr/concepts.js';
import { everyItem, isNamed, readTree } from '../sr/tree.js';
import { writeSr } from '../sr.js';
import { dicomSegmentsOf } from './segments.js';
import { asItStands } from './standing-segments.js';

const BY = { by: '01999999-0000-7000-8000-00000000000a', at: '2026-11-29T13:00:00Z', version: 2 };
const judged = (finding: Finding, state: FindingReview['state']): Finding => ({ ...finding, review: { state, ...BY } });

/** Volumes as the masks have them, so that each segment is known for its finding's. */
function nodules(count: number): DerivedSource {
  const source = noduleSource({ count });
  const voxel = 0.8 * 0.8 * 2.5;
  const mm3 = 21 * voxel;
  return {
    ...source, segments: source.segments.map((segment) => ({ ...segment, volumeMl: mm3 / 1000 })),
    findings: source.findings.map((finding) => ({ ...finding, measurements: finding.measurements.map((one) => (one.name === 'volume' ? { ...one, value: mm3 } : one)) })),
  };
}

/** A reviewed result: these findings stand of those that the model made. */
const reviewed = (source: DerivedSource, change: (findings: readonly Finding[]) => Finding[], more: Partial<DerivedSource> = {}): DerivedSource => ({ ...source, version: 2, original: source.findings, findings: change(source.findings), ...more });
const names = ({ segments }: DerivedSource): string[] => segments.map(({ name }) => name);

/** Segment numbers that a report names, in its order. */
function referenced(source: DerivedSource): number[] {
  const { bytes } = writeSr(source, SEG);
  expect(checkSr(bytes, source, SEG)).toEqual([]);
  return [...everyItem(readTree(parseInstanceBytes(bytes).attributes))].filter((item) => isNamed(item, NAMES.segment))
    .flatMap(({ json }) => sequence(json, 'ReferencedSOPSequence').flatMap((reference) => numbers(reference, 'ReferencedSegmentNumber')));
}

describe('a report', () => {
  it('names segments by the numbers that they have in the segmentation', () => {
    const source = nodules(3);
    const { segmentation } = source;
    if (!segmentation) throw new Error('no segmentation');
    expect(referenced(source)).toEqual([1, 2, 3]);
    // The first has no mask: it is not in the segmentation, and those behind it move up.
    const without: DerivedSource = { ...source, findings: source.findings.slice(1), segmentation: { ...segmentation, members: segmentation.members.slice(1) } };
    expect(dicomSegmentsOf(without).map(({ number, segment }) => [number, segment.number])).toEqual([[1, 2], [2, 3]]);
    expect(referenced(without)).toEqual([1, 2]);
    // The first has a mask without a voxel: it keeps its number.
    const labels = segmentation.labels.map((value) => (value === 1 ? 0 : value));
    expect(referenced({ ...source, findings: source.findings.slice(1), segmentation: { ...segmentation, labels } })).toEqual([2, 3]);
  });

  it('tracks what it names as the segmentation does', () => {
    const outcome = throughGate(nodules(3));
    if (outcome.kind !== 'passed') throw new Error(JSON.stringify(outcome.faults));
    const [seg, sr] = outcome.objects.map(({ bytes }) => parseInstanceBytes(bytes).attributes);
    const tracked = sequence(seg ?? {}, 'SegmentSequence').map((segment) => text(segment, 'TrackingUID') ?? '');
    expect(tracked).toHaveLength(3);
    for (const uid of tracked) expect(JSON.stringify(sr)).toContain(uid);
  });
});

describe('of a reviewed result', () => {
  it('all segments stand that nobody has doubted', () => {
    const source = nodules(3);
    expect(asItStands(source)).toBe(source);
    expect(names(asItStands(reviewed(source, (all) => [...all])))).toEqual(names(source));
  });

  it('a segment goes with its finding, and the others are tracked and numbered as they must be', () => {
    const source = nodules(3);
    const standing = asItStands(reviewed(source, ([, second, third]) => [second, third].filter((one) => one !== undefined)));
    expect(names(standing)).toEqual(['Nodule 2', 'Nodule 3']);
    expect(dicomSegmentsOf(standing).map(({ number, trackingKey }) => [number, trackingKey])).toEqual([[1, source.findings[1]?.id], [2, source.findings[2]?.id]]);
    expect(referenced(standing)).toEqual([1, 2]);
    expect(throughGate(reviewed(source, (all) => all.slice(1))).kind).toBe('passed');
  });

  it('a segment stays that of a finding that was measured anew or moved', () => {
    const source = nodules(2);
    const moved = (finding: Finding): Finding => judged({ ...finding, location: finding.location && { ...finding.location, center: finding.location.center && [finding.location.center[0] + 5.6, finding.location.center[1], finding.location.center[2]] }, measurements: finding.measurements.map((one) => (one.name === 'volume' ? { ...one, value: 900 } : one)) }, 'edited');
    const standing = asItStands(reviewed(source, ([first, second]) => [first && moved(first), second].filter((one) => one !== undefined)));
    expect(dicomSegmentsOf(standing).map(({ trackingKey, finding }) => [trackingKey, finding?.review?.state])).toEqual([[source.findings[0]?.id, 'edited'], [source.findings[1]?.id, undefined]]);
    expect(referenced(standing)).toEqual([1, 2]);
  });

  it('a segment goes that a person disagrees with', () => {
    const source = nodules(2);
    const [first, second] = source.segments;
    if (!first || !second) throw new Error('no segments');
    expect(names(asItStands(reviewed(source, (all) => [...all], { segments: [{ ...first, review: { state: 'disagreed', ...BY } }, second] })))).toEqual(['Nodule 2']);
  });

  it('nothing stands of a tumour that was rejected, but for what a person agrees with in particular', () => {
    const source = tumourSource();
    expect(names(asItStands(reviewed(source, () => [])))).toEqual([]);
    const agreed = source.segments.map((segment, n) => ({ ...segment, review: { state: 'agreed' as const, ...BY, ...(n !== 1 && { bySignOff: true as const }) } }));
    expect(names(asItStands(reviewed(source, () => [], { segments: agreed })))).toEqual(['Tumour core']);
    expect(names(asItStands(reviewed(tumourSource({ tumours: 2 }), (all) => all.slice(1))))).toEqual(['Whole tumour', 'Tumour core', 'Enhancing tumour']);
    const gone = throughGate(reviewed(source, () => []));
    expect(gone.kind === 'passed' && gone.objects.map(({ kind }) => kind)).toEqual(['sr']);
  });

  it('the predecessors are those that it was given', () => {
    const source = nodules(1);
    const before = { sopClassUid: '1.2.840.10008.5.1.4.1.1.88.34', seriesInstanceUid: '1.2.3.4', sopInstanceUid: '1.2.3.4.5' };
    const named = { ...source, version: 2, predecessors: [before] };
    expect(checkSr(writeSr(named, SEG, [before]).bytes, named, SEG)).toEqual([]);
    expect(checkSr(writeSr(named, SEG).bytes, named, SEG).map(({ check }) => check)).toEqual(['reference']);
    expect(checkSr(writeSr(named, SEG, [before]).bytes, { ...named, predecessors: [] }, SEG).map(({ check }) => check)).toEqual(['reference']);
  });
});
