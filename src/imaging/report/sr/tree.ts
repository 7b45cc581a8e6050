import { numbers, sequence, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import type { DerivedFault } from '../derived.js';
import type { Concept } from './concepts.js';

/** A content item as read. */
export interface ContentItem {
  /** Numbers from the root on, as reports of SRs have them: `1.4.2`. */
  path: string;
  relationship: string;
  valueType: string;
  name: Concept | undefined;
  template: string | undefined;
  json: DicomJson;
  children: ContentItem[];
}

/** Where checks put what they find. Details name places and kinds of values, never the values of a patient. */
export type Report = (check: DerivedFault['check'], detail: string) => void;

/** The tree under a data set. */
export function readTree(json: DicomJson, path = '1'): ContentItem {
  return {
    path,
    relationship: text(json, 'RelationshipType') ?? '',
    valueType: text(json, 'ValueType') ?? '',
    name: codeIn(json, 'ConceptNameCodeSequence'),
    template: sequence(json, 'ContentTemplateSequence').map((item) => text(item, 'TemplateIdentifier'))[0],
    json,
    children: sequence(json, 'ContentSequence').map((child, n) => readTree(child, `${path}.${String(n + 1)}`)),
  };
}

export function* everyItem(item: ContentItem): Generator<ContentItem> {
  yield item;
  for (const child of item.children) yield* everyItem(child);
}

/** The code of a sequence of exactly one item that has all three parts. */
export function codeIn(json: DicomJson, keyword: string): Concept | undefined {
  const [item, ...others] = sequence(json, keyword);
  if (item === undefined || others.length > 0) return undefined;
  const [value, scheme, meaning] = [text(item, 'CodeValue') ?? text(item, 'LongCodeValue'), text(item, 'CodingSchemeDesignator'), text(item, 'CodeMeaning')];
  return value && scheme && meaning ? { value, scheme, meaning } : undefined;
}

/** Codes are the same when value and scheme are; meanings are for people. */
export function sameCode(a: Concept | undefined, b: Concept): boolean {
  return a?.value === b.value && a.scheme === b.scheme;
}

export function isNamed(item: ContentItem, name: Concept): boolean {
  return sameCode(item.name, name);
}

export function childrenNamed(item: ContentItem, name: Concept): ContentItem[] {
  return item.children.filter((child) => isNamed(child, name));
}

/** The value of a NUM with its unit; undefined when either is missing. */
export function measuredIn({ json }: ContentItem): { value: number; unit: Concept } | undefined {
  const [measured] = sequence(json, 'MeasuredValueSequence');
  if (measured === undefined) return undefined;
  const [value] = [...numbers(measured, 'FloatingPointValue'), ...numbers(measured, 'NumericValue')];
  const unit = codeIn(measured, 'MeasurementUnitsCodeSequence');
  return value === undefined || unit === undefined ? undefined : { value, unit };
}

/** Measurement groups of the report. */
export function measurementGroups(root: ContentItem, measurements: Concept, group: Concept): ContentItem[] {
  return childrenNamed(root, measurements).flatMap((item) => childrenNamed(item, group));
}
