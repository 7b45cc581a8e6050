import type { Fields } from '../data-set.js';
import type { DerivedSource } from '../derived.js';
import type { Finding, Label } from '../finding.js';
import { isNegativeLabel } from '../terms.js';
import { trackingUidOf } from '../tracking.js';
import { warningsOf } from '../warnings.js';
import { attributeConcepts, conceptOf, isVolumetric, lateralityOf, measurementConcept, NAMES, PERCENT, subjectOf, unitConcept, VALUES } from './concepts.js';
import { codeValue, container, imageValue, numberValue, textValue, uidValue } from './content.js';
import { frameFinder, ownSegments, type SourceFrame } from './places.js';
import { imageOf, marksOf, wholeImage } from './regions.js';

/** The segmentation that segments are referenced in. */
export interface SegReference {
  sopClassUid: string;
  sopInstanceUid: string;
  seriesInstanceUid: string;
}

/**
 * Measurement groups of everything that a result says. A finding with a place is a planar region (TID 1410) with what is measured in its slice; its own
 * segment, if there is one, is a volumetric region (TID 1411) with what is measured over all voxels, under the same tracking identifiers.
 * What is said of a whole image is a group of TID 1501.
 */
export function groupsOf(source: DerivedSource, seg: SegReference | null): Fields[] {
  const frameAt = frameFinder(source);
  const segments = seg === null ? new Map<string, number>() : ownSegments(source);
  const counts = new Map<string, number>();
  const groups = source.findings.flatMap((finding) => {
    if (labelOf(finding, source.labels) !== undefined) return [];
    const count = (counts.get(finding.kind) ?? 0) + 1;
    counts.set(finding.kind, count);
    const title = `${finding.kind.charAt(0).toUpperCase()}${finding.kind.slice(1)} ${String(count)}`;
    return findingGroups(source, finding, title, finding.location && frameAt(finding.location), seg, segments.get(finding.id));
  });
  const image = source.keyImage === null ? undefined : frameAt(source.keyImage);
  return [...groups, ...source.labels.map((label) => labelGroup(source, label, image))];
}

/** The label that a positive finding of a classifier repeats. */
export function labelOf(finding: Finding, labels: readonly Label[]): Label | undefined {
  if (finding.kind !== 'label') return undefined;
  return labels.find(({ code }) => code?.system === finding.code.system && code.value === finding.code.value);
}

/** What a label is tracked by: the finding that repeats it, if it is positive, else its name. */
export function labelKey({ findings, labels }: Pick<DerivedSource, 'findings' | 'labels'>, label: Label): string {
  return findings.find((finding) => labelOf(finding, labels) === label)?.id ?? `label ${label.name}`;
}

function findingGroups(source: DerivedSource, finding: Finding, title: string, frame: SourceFrame | undefined, seg: SegReference | null, segment: number | undefined): Fields[] {
  const head = [...tracking(source, title, finding.id), ...subject(source, finding)];
  const marks = frame === undefined ? [] : marksOf(finding, frame);
  if (marks.length === 0) return [wholeImageGroup(finding, head, frame)];
  const volumetric = seg !== null && segment !== undefined ? finding.measurements.filter(({ name }) => isVolumetric(name)) : [];
  const planar = finding.measurements.filter((measurement) => !volumetric.includes(measurement));
  const groups = [container(NAMES.group, [...head, ...marks, certainty(finding.score), ...numbers(finding, planar), ...evaluations(finding)], '1410')];
  if (seg === null || segment === undefined || source.segmentation === null) return groups;
  const own = [imageValue('CONTAINS', NAMES.segment, { ...seg, segment }), uidValue('CONTAINS', NAMES.segmentSeries, source.segmentation.seriesInstanceUid)];
  return [...groups, container(NAMES.group, [...head, ...own, ...numbers(finding, volumetric)], '1411')];
}

/** A finding without a place: it is said of the image, or of the study where there is none either. */
function wholeImageGroup(finding: Finding, head: readonly Fields[], frame: SourceFrame | undefined): Fields {
  const score = certainty(finding.score, frame && wholeImage(frame, 'INFERRED FROM'));
  return container(NAMES.group, [...head, ...sourceImage(frame), score, ...numbers(finding, finding.measurements), ...evaluations(finding)], '1501');
}

function labelGroup(source: DerivedSource, label: Label, frame: SourceFrame | undefined): Fields {
  const name = conceptOf(label.code ?? { system: '99HV', value: label.name, meaning: label.name });
  const head = [
    ...tracking(source, label.name, labelKey(source, label)),
    // A label below its threshold is no finding, and neither is "No Finding": who reads findings alone must not take them for one.
    ...(label.positive && !isNegativeLabel(label.name) ? [codeValue('CONTAINS', NAMES.category, VALUES.clinicalFinding), codeValue('CONTAINS', NAMES.finding, name)] : []),
    codeValue('HAS CONCEPT MOD', NAMES.site, subjectOf(source.analysis).site),
    ...algorithm(source),
  ];
  return container(NAMES.group, [
    ...head,
    ...sourceImage(frame),
    certainty(label.probability, frame && wholeImage(frame, 'INFERRED FROM')),
    numberValue(NAMES.threshold, percent(label.threshold), PERCENT),
    codeValue('CONTAINS', name, label.positive ? VALUES.present : VALUES.absent),
  ], '1501');
}

function sourceImage(frame: SourceFrame | undefined): Fields[] {
  return frame === undefined ? [] : [imageValue('CONTAINS', NAMES.sourceImage, imageOf(frame))];
}

/** Tracking identifiers come before any other UID: viewers take the first for the tracking one. */
function tracking({ resultId }: DerivedSource, title: string, key: string): Fields[] {
  return [textValue('HAS OBS CONTEXT', NAMES.trackingIdentifier, title), uidValue('HAS OBS CONTEXT', NAMES.trackingUid, trackingUidOf(resultId, key))];
}

function subject(source: DerivedSource, finding: Finding): Fields[] {
  const { site, category } = subjectOf(source.analysis);
  const side = lateralityOf(finding);
  return [
    codeValue('CONTAINS', NAMES.category, category),
    codeValue('CONTAINS', NAMES.finding, conceptOf(finding.code)),
    codeValue('HAS CONCEPT MOD', NAMES.site, site, side && [codeValue('HAS CONCEPT MOD', NAMES.laterality, side)]),
    // What a person added no algorithm has found.
    ...(finding.review?.state === 'added' ? [] : algorithm(source)),
  ];
}

function algorithm({ provenance: { model } }: DerivedSource): Fields[] {
  return [textValue('HAS CONCEPT MOD', NAMES.algorithmName, model.name), textValue('HAS CONCEPT MOD', NAMES.algorithmVersion, model.version)];
}

/** 0–1 as the percentage that the code is defined with. */
function certainty(score: number, from?: Fields): Fields {
  return numberValue(NAMES.certainty, percent(score), PERCENT, from === undefined ? [] : [from]);
}

/** Without the last digits that only the multiplication makes. */
function percent(part: number): number {
  return Number((part * 100).toPrecision(12));
}

function numbers({ kind }: Finding, measurements: Finding['measurements']): Fields[] {
  return measurements.map(({ name, value, unit }) => {
    const { name: concept, derivation } = measurementConcept(kind, name);
    return numberValue(concept, value, unitConcept(unit), derivation === undefined ? [] : [codeValue('HAS CONCEPT MOD', NAMES.derivation, derivation)]);
  });
}

/** The side stands with the site. */
function evaluations({ attributes = [] }: Finding): Fields[] {
  return attributes.filter(({ name }) => name !== 'side').map((attribute) => {
    const { name, value } = attributeConcepts(attribute);
    return typeof value === 'string' ? textValue('CONTAINS', name, value) : codeValue('CONTAINS', name, value);
  });
}

/** What a result without anything to report says. */
export function nothingFound(source: DerivedSource): Fields {
  const { sought } = subjectOf(source.analysis);
  return container(NAMES.evaluations, [codeValue('CONTAINS', sought, VALUES.absent), textValue('CONTAINS', NAMES.comment, source.summary.text), ...warningsIn(source)]);
}

/** What must be known of measurements before they are trusted; it stands beside them. */
export function evaluationsOf(source: DerivedSource): Fields[] {
  const warnings = warningsIn(source);
  return warnings.length === 0 ? [] : [container(NAMES.evaluations, warnings)];
}

function warningsIn({ provenance }: DerivedSource): Fields[] {
  return warningsOf(provenance, 'en').map(({ text }) => textValue('CONTAINS', NAMES.comment, text));
}
