import { sequence, text } from '../../dicom/attributes.js';
import { warningsOf } from '../warnings.js';
import { isDicomUid } from '../../../kernel/uid.js';
import type { DerivedSource } from '../derived.js';
import { NAMES, VALUES, type Concept } from './concepts.js';
import { childrenNamed, codeIn, everyItem, isNamed, measurementGroups, measuredIn, sameCode, type ContentItem, type Report } from './tree.js';

/** A row of a template: what an item of a name must be, and how often it is there. */
interface Row {
  name: Concept;
  relationship: string;
  valueType: string;
  least: number;
  most: number;
}

const row = (name: Concept, relationship: string, valueType: string, least: number, most: number): Row => ({ name, relationship, valueType, least, most });

/** TID 1500 with 1204, 1001 to 1004 and 1600. */
const REPORT_ROWS: readonly Row[] = [
  row(NAMES.language, 'HAS CONCEPT MOD', 'CODE', 1, 1),
  row(NAMES.observerType, 'HAS OBS CONTEXT', 'CODE', 1, 2),
  row(NAMES.deviceUid, 'HAS OBS CONTEXT', 'UIDREF', 1, 1),
  row(NAMES.deviceName, 'HAS OBS CONTEXT', 'TEXT', 1, 1),
  row(NAMES.deviceManufacturer, 'HAS OBS CONTEXT', 'TEXT', 1, 1),
  row(NAMES.deviceModel, 'HAS OBS CONTEXT', 'TEXT', 1, 1),
  row(NAMES.deviceSerial, 'HAS OBS CONTEXT', 'TEXT', 0, 1),
  row(NAMES.personName, 'HAS OBS CONTEXT', 'PNAME', 0, 1),
  row(NAMES.personOrganisation, 'HAS OBS CONTEXT', 'TEXT', 0, 1),
  row(NAMES.procedure, 'HAS CONCEPT MOD', 'CODE', 1, Infinity),
  row(NAMES.imageLibrary, 'CONTAINS', 'CONTAINER', 1, 1),
  row(NAMES.measurements, 'CONTAINS', 'CONTAINER', 0, 1),
  row(NAMES.evaluations, 'CONTAINS', 'CONTAINER', 0, 1),
];

/** What TID 1410, 1411 and 1501 have alike. */
const GROUP_ROWS: readonly Row[] = [
  row(NAMES.trackingIdentifier, 'HAS OBS CONTEXT', 'TEXT', 1, 1),
  row(NAMES.trackingUid, 'HAS OBS CONTEXT', 'UIDREF', 1, 1),
  row(NAMES.category, 'CONTAINS', 'CODE', 0, 1),
  row(NAMES.finding, 'CONTAINS', 'CODE', 0, 1),
  row(NAMES.site, 'HAS CONCEPT MOD', 'CODE', 1, Infinity),
  row(NAMES.algorithmName, 'HAS CONCEPT MOD', 'TEXT', 0, 1),
  row(NAMES.algorithmVersion, 'HAS CONCEPT MOD', 'TEXT', 0, 1),
];
const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  '1410': [...GROUP_ROWS, row(NAMES.region, 'CONTAINS', 'SCOORD', 1, 1), row(NAMES.center, 'CONTAINS', 'SCOORD3D', 0, 1)],
  '1411': [...GROUP_ROWS, row(NAMES.segment, 'CONTAINS', 'IMAGE', 1, 1), row(NAMES.segmentSeries, 'CONTAINS', 'UIDREF', 1, 1)],
  '1501': [...GROUP_ROWS, row(NAMES.sourceImage, 'CONTAINS', 'IMAGE', 0, 1)],
};
/** Numbers, and answers to questions, of any name. */
const ANSWERS: ReadonlySet<string> = new Set(['NUM', 'CODE', 'TEXT']);

/** Relationships by value that the object allows. @see PS3.3 table A.35.13-2 */
const CHILDREN: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  CONTAINER: {
    CONTAINS: ['TEXT', 'CODE', 'NUM', 'DATETIME', 'DATE', 'TIME', 'UIDREF', 'PNAME', 'SCOORD', 'SCOORD3D', 'TCOORD', 'COMPOSITE', 'IMAGE', 'WAVEFORM', 'CONTAINER'],
    'HAS OBS CONTEXT': ['TEXT', 'CODE', 'NUM', 'DATETIME', 'DATE', 'TIME', 'UIDREF', 'PNAME', 'COMPOSITE'],
    'HAS ACQ CONTEXT': ['TEXT', 'CODE', 'NUM', 'DATETIME', 'DATE', 'TIME', 'UIDREF', 'PNAME', 'CONTAINER'],
    'HAS CONCEPT MOD': ['TEXT', 'CODE'],
  },
  CODE: { 'HAS CONCEPT MOD': ['TEXT', 'CODE'] },
  NUM: { 'HAS CONCEPT MOD': ['TEXT', 'CODE'], 'INFERRED FROM': ['IMAGE', 'SCOORD', 'SCOORD3D'] },
  SCOORD: { 'SELECTED FROM': ['IMAGE'] },
};

/** What every item must have of itself, and then the rows of the templates. */
export function checkTemplate(root: ContentItem, source: DerivedSource, report: Report): void {
  if (root.valueType !== 'CONTAINER' || !isNamed(root, NAMES.report) || root.template !== '1500') report('template', 'The root is no Imaging Measurement Report of TID 1500');
  for (const item of everyItem(root)) checkItem(item, report);
  checkRows(root, REPORT_ROWS, report);
  for (const child of root.children) if (!REPORT_ROWS.some(({ name }) => isNamed(child, name))) report('template', `Item ${child.path} is not of TID 1500`);
  checkObservers(root, source, report);
  checkEvaluations(root, source, report);
  for (const group of measurementGroups(root, NAMES.measurements, NAMES.group)) checkGroup(group, report);
  for (const measurements of childrenNamed(root, NAMES.measurements)) {
    for (const child of measurements.children) if (!isNamed(child, NAMES.group)) report('template', `Item ${child.path} is no measurement group`);
  }
}

/** Either there is something measured or the report says that there is nothing; warnings stand with either. */
function checkEvaluations(root: ContentItem, { provenance }: DerivedSource, report: Report): void {
  const [measurements, evaluations] = [childrenNamed(root, NAMES.measurements), childrenNamed(root, NAMES.evaluations)];
  const warnings = warningsOf(provenance, 'en');
  if (measurements.length + evaluations.length !== (measurements.length > 0 && warnings.length > 0 ? 2 : 1)) report('template', 'The report has neither measurements nor evaluations, or both');
  const said = evaluations.flatMap((item) => childrenNamed(item, NAMES.comment).map(({ json }) => text(json, 'TextValue')));
  if (warnings.some((warning) => !said.includes(warning.text))) report('template', 'The report lacks a warning');
}

function checkItem(item: ContentItem, report: Report): void {
  const { path, valueType, json } = item;
  if (item.name === undefined && item.relationship !== 'SELECTED FROM') report('code', `The name of item ${path} is no complete code`);
  for (const child of item.children) {
    const allowed = CHILDREN[valueType]?.[child.relationship] ?? [];
    if (!allowed.includes(child.valueType)) report('template', `Item ${child.path}: a ${valueType || 'thing without a value type'} cannot stand in the relationship "${child.relationship}" to a ${child.valueType}`);
  }
  switch (valueType) {
    case 'CODE':
      if (codeIn(json, 'ConceptCodeSequence') === undefined) report('code', `The value of item ${path} is no complete code`);
      break;
    case 'NUM': {
      const measured = measuredIn(item);
      if (measured === undefined) report('template', `Item ${path} has no number or no complete unit`);
      else if (measured.unit.scheme !== 'UCUM') report('code', `The unit of item ${path} is not of UCUM`);
      break;
    }
    case 'TEXT':
      if (!text(json, 'TextValue')) report('template', `Item ${path} has no text`);
      break;
    case 'UIDREF':
      if (!text(json, 'UID')) report('template', `Item ${path} has no UID`);
      break;
    case 'PNAME':
      if (!text(json, 'PersonName')) report('template', `Item ${path} has no name`);
      break;
    case 'IMAGE':
      if (sequence(json, 'ReferencedSOPSequence').length !== 1) report('reference', `Item ${path} names no image`);
      break;
  }
}

function checkObservers(root: ContentItem, { verifier }: DerivedSource, report: Report): void {
  const types = childrenNamed(root, NAMES.observerType).map(({ json }) => codeIn(json, 'ConceptCodeSequence'));
  const [device, person] = [types.some((type) => sameCode(type, VALUES.device)), types.some((type) => sameCode(type, VALUES.person))];
  if (!device) report('template', 'No device is named as an observer');
  if (person !== (verifier !== null) || person !== (childrenNamed(root, NAMES.personName).length > 0)) report('template', 'The person who stands for the report is missing, or nobody stands for it');
}

function checkGroup(group: ContentItem, report: Report): void {
  const rows = GROUPS[group.template ?? ''];
  if (rows === undefined) {
    report('template', `Group ${group.path} names no template that is known`);
    return;
  }
  checkRows(group, rows, report);
  const others = group.children.filter((child) => !rows.some(({ name }) => isNamed(child, name)));
  for (const child of others) if (child.relationship !== 'CONTAINS' || !ANSWERS.has(child.valueType)) report('template', `Item ${child.path} is not of TID ${group.template ?? ''}`);
  for (const { json } of childrenNamed(group, NAMES.trackingUid)) if (!isDicomUid(text(json, 'UID'))) report('template', `The tracking UID of group ${group.path} is no UID`);
}

function checkRows(item: ContentItem, rows: readonly Row[], report: Report): void {
  for (const { name, relationship, valueType, least, most } of rows) {
    const found = childrenNamed(item, name);
    if (found.length < least || found.length > most) report('template', `Item ${item.path} has ${String(found.length)} × "${name.meaning}"`);
    for (const child of found) if (child.relationship !== relationship || child.valueType !== valueType) report('template', `Item ${child.path}, "${name.meaning}", has another relationship or value type than its template says`);
  }
}
