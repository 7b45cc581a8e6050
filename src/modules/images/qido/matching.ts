import type { DicomJson, DicomJsonElement, DicomJsonValue } from '../../../imaging/dicom/dicom-json.js';
import { matchesName, soundsLike, type NamePattern } from './person-name.js';
import { foldText, matchesPattern, type TextPattern } from './text-pattern.js';
import { momentOf, timeOf, wholeDate } from './time-values.js';

/** What an attribute is compared with; several values are alternatives. @see PS3.4 C.2.2.2 */
export type Rule =
  | { type: 'universal' }
  | { type: 'uid'; uids: readonly string[] }
  | { type: 'text'; patterns: readonly TextPattern[] }
  /** `words` are there when fuzzy matching is wanted beside the literal one. */
  | { type: 'name'; names: readonly NamePattern[]; words: readonly string[] }
  | { type: 'number'; numbers: readonly number[] }
  /** Inclusive; `YYYYMMDD`. `single`: one value was asked for, not a range. */
  | { type: 'date'; from?: string; to?: string; single?: true }
  /** Inclusive; `HHMMSS.ffffff`. */
  | { type: 'time'; from?: string; to?: string; single?: true }
  /** Milliseconds since 1970 in UTC; `before` is the first that does not match. */
  | { type: 'moment'; from?: number; before?: number };

/** What a data set must have: each rule on its attribute, and of each sequence one item that has all that is asked below it. */
export interface MatchTree {
  rules: [tag: string, rule: Rule][];
  sequences: Map<string, MatchTree>;
}

export function matchTree(): MatchTree {
  return { rules: [], sequences: new Map() };
}

/** @param path  tags; all but the last are sequences */
export function addRule(tree: MatchTree, path: readonly string[], rule: Rule): void {
  const [tag, ...rest] = path;
  if (tag === undefined) return;
  if (rest.length === 0) {
    tree.rules.push([tag, rule]);
    return;
  }
  const below = tree.sequences.get(tag) ?? matchTree();
  tree.sequences.set(tag, below);
  addRule(below, rest, rule);
}

/** @see PS3.4 C.2.2.2.6 for sequences */
export function matchesTree(tree: MatchTree, attributes: DicomJson): boolean {
  return tree.rules.every(([tag, rule]) => matchesElement(rule, attributes[tag]))
    && [...tree.sequences].every(([tag, below]) => (attributes[tag]?.Value ?? []).some((item) => isItem(item) && matchesTree(below, item)));
}

/** One of several values is enough. */
export function matchesElement(rule: Rule, element: DicomJsonElement | undefined): boolean {
  return rule.type === 'universal' || (element?.Value ?? []).some((value) => value !== null && matchesValue(rule, value));
}

function matchesValue(rule: Exclude<Rule, { type: 'universal' }>, value: Exclude<DicomJsonValue, null>): boolean {
  switch (rule.type) {
    case 'uid':
      return typeof value === 'string' && rule.uids.includes(value);
    case 'text': {
      if (typeof value === 'object') return false;
      const text = foldText(String(value));
      return rule.patterns.some((pattern) => matchesPattern(pattern, text));
    }
    case 'name':
      return typeof value === 'object' && !isItem(value) && (rule.names.some((pattern) => matchesName(pattern, value)) || (rule.words.length > 0 && soundsLike(rule.words, value)));
    case 'number':
      return (typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')) && rule.numbers.includes(Number(value));
    case 'date':
      return isWithin(typeof value === 'string' ? wholeDate(value) : undefined, rule);
    case 'time':
      return isWithin(typeof value === 'string' ? timeOf(value) : undefined, rule);
    case 'moment': {
      const moment = typeof value === 'string' ? momentOf(value) : undefined;
      return moment !== undefined && moment >= (rule.from ?? -Infinity) && moment < (rule.before ?? Infinity);
    }
  }
}

function isWithin(value: string | undefined, { from, to }: { from?: string; to?: string }): boolean {
  return value !== undefined && (from === undefined || value >= from) && (to === undefined || value <= to);
}

/** The parts of names are texts, the elements of items are objects. */
function isItem(value: DicomJsonValue): value is DicomJson {
  return typeof value === 'object' && value !== null && Object.values(value).every((part) => typeof part === 'object');
}
