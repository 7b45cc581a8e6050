import { text } from '../../dicom/attributes.js';
import { groupBy } from '../../../kernel/group-by.js';
import type { DerivedSource } from '../derived.js';
import { longText } from '../element-text.js';
import type { Finding, Label } from '../finding.js';
import { isNegativeLabel } from '../terms.js';
import { trackingUidOf } from '../tracking.js';
import { attributeConcepts, conceptOf, lateralityOf, measurementConcept, NAMES, PERCENT, subjectOf, unitConcept, VALUES, type Concept } from './concepts.js';
import { labelKey, labelOf } from './groups.js';
import { childrenNamed, codeIn, isNamed, measurementGroups, measuredIn, sameCode, type ContentItem, type Report } from './tree.js';

/** What a report must say of one thing. */
interface Expected {
  numbers: { name: Concept; value: number; unit: Concept }[];
  answers: { name: Concept; value: Concept | string }[];
  finding: Concept | undefined;
  site: Concept;
  side: Concept | undefined;
  /** False for what a person added. */
  isOfModel: boolean;
}

/** Sixteen characters of a decimal, and a percentage of what was a fraction. */
const PRECISION = 1e-9;

/** The report says what was found, all of it, and nothing else. */
export function checkMeasurements(root: ContentItem, source: DerivedSource, report: Report): void {
  const groups = groupBy(measurementGroups(root, NAMES.measurements, NAMES.group), trackingUidIn);
  const expected = new Map([
    ...source.findings.filter((finding) => labelOf(finding, source.labels) === undefined).map((finding) => [trackingUidOf(source.resultId, finding.id), ofFinding(source, finding)] as const),
    ...source.labels.map((label) => [trackingUidOf(source.resultId, labelKey(source, label)), ofLabel(source, label)] as const),
  ]);
  for (const [uid, group] of groups) if (!expected.has(uid)) report('measurement', `Group ${group[0].path} is about nothing that was found`);
  for (const [uid, wanted] of expected) {
    const own = groups.get(uid);
    if (own === undefined) report('measurement', 'Something that was found is missing');
    else compare(own, wanted, report);
  }
  if (expected.size === 0 && !saysNothing(root, source)) report('measurement', 'The report does not say that nothing was found');
  if (expected.size > 0 && saysNothing(root, source)) report('measurement', 'The report says that nothing was found');
}

function trackingUidIn(group: ContentItem): string {
  return childrenNamed(group, NAMES.trackingUid).map(({ json }) => text(json, 'UID') ?? '')[0] ?? '';
}

function ofFinding({ analysis }: DerivedSource, finding: Finding): Expected {
  const attributes = finding.attributes ?? [];
  return {
    numbers: [
      { name: NAMES.certainty, value: finding.score * 100, unit: PERCENT },
      ...finding.measurements.map(({ name, value, unit }) => ({ name: measurementConcept(finding.kind, name).name, value, unit: unitConcept(unit) })),
    ],
    answers: attributes.filter(({ name }) => name !== 'side').map(attributeConcepts),
    finding: conceptOf(finding.code),
    site: subjectOf(analysis).site,
    side: lateralityOf(finding),
    isOfModel: finding.review?.state !== 'added',
  };
}

function ofLabel({ analysis }: DerivedSource, { name, code, probability, threshold, positive }: Label): Expected {
  const concept = conceptOf(code ?? { system: '99HV', value: name, meaning: name });
  return {
    numbers: [{ name: NAMES.certainty, value: probability * 100, unit: PERCENT }, { name: NAMES.threshold, value: threshold * 100, unit: PERCENT }],
    answers: [{ name: concept, value: positive ? VALUES.present : VALUES.absent }],
    finding: positive && !isNegativeLabel(name) ? concept : undefined,
    site: subjectOf(analysis).site,
    side: undefined,
    isOfModel: true,
  };
}

function compare(groups: readonly ContentItem[], wanted: Expected, report: Report): void {
  const path = groups[0]?.path ?? '';
  compareNumbers(groups.flatMap(({ children }) => children.filter(({ valueType }) => valueType === 'NUM')), wanted.numbers, path, report);
  const answers = groups.flatMap(({ children }) => children.filter((child) => (child.valueType === 'CODE' || child.valueType === 'TEXT') && child.relationship === 'CONTAINS' && !isNamed(child, NAMES.finding) && !isNamed(child, NAMES.category)));
  if (answers.length !== wanted.answers.length || !wanted.answers.every((one) => answers.some((answer) => isAnswer(answer, one)))) report('measurement', `Group ${path} answers other questions, or otherwise`);
  for (const group of groups) {
    const findings = childrenNamed(group, NAMES.finding).map(({ json }) => codeIn(json, 'ConceptCodeSequence'));
    const { finding } = wanted;
    if (finding === undefined ? findings.length > 0 : findings.length !== 1 || !sameCode(findings[0], finding)) report('code', `Group ${group.path} is about another finding`);
    const algorithms = [NAMES.algorithmName, NAMES.algorithmVersion].map((name) => childrenNamed(group, name).length);
    if (algorithms.some((count) => count !== (wanted.isOfModel ? 1 : 0))) report('template', `Group ${group.path} does not say what found it, or names an algorithm for what a person found`);
    const site = childrenNamed(group, NAMES.site)[0];
    if (site === undefined || !sameCode(codeIn(site.json, 'ConceptCodeSequence'), wanted.site)) report('code', `Group ${group.path} is about another site`);
    const sides = (site === undefined ? [] : childrenNamed(site, NAMES.laterality)).map(({ json }) => codeIn(json, 'ConceptCodeSequence'));
    if (wanted.side === undefined ? sides.length > 0 : sides.length !== 1 || !sameCode(sides[0], wanted.side)) report('code', `Group ${group.path} is about another side`);
  }
}

/** One to one. */
function compareNumbers(items: readonly ContentItem[], wanted: Expected['numbers'], path: string, report: Report): void {
  const left = [...items];
  for (const { name, value, unit } of wanted) {
    const found = left.findIndex((item) => {
      const measured = measuredIn(item);
      return isNamed(item, name) && measured !== undefined && sameCode(measured.unit, unit) && Math.abs(measured.value - value) <= PRECISION * Math.max(1, Math.abs(value));
    });
    if (found < 0) report('measurement', `Group ${path} lacks "${name.meaning}", or has another value or unit`);
    else left.splice(found, 1);
  }
  if (left.length > 0) report('measurement', `Group ${path} has ${String(left.length)} numbers that are not the finding's`);
}

function isAnswer(item: ContentItem, { name, value }: Expected['answers'][number]): boolean {
  if (!isNamed(item, name)) return false;
  return typeof value === 'string' ? item.valueType === 'TEXT' && text(item.json, 'TextValue') === (longText(value) || '-') : sameCode(codeIn(item.json, 'ConceptCodeSequence'), value);
}

function saysNothing(root: ContentItem, { analysis }: DerivedSource): boolean {
  const { sought } = subjectOf(analysis);
  return childrenNamed(root, NAMES.evaluations).some((evaluations) => childrenNamed(evaluations, sought).some(({ json }) => sameCode(codeIn(json, 'ConceptCodeSequence'), VALUES.absent)));
}
