import { descriptorTermAt, isDescriptorWord } from './descriptor-vocabulary.js';
import type { IdentifyingValues } from './identifying-values.js';

/** Texts beyond this are letters, not descriptions. */
const MAX_LENGTH = 1024;

/**
 * What may stay of a description: the words of the vocabulary that are no part of anybody's name in this data set, in their
 * order, with a blank between them. Empty when nothing may.
 *
 * @see PS3.15 E.3.5
 */
export function cleanDescriptor(text: string, identifying: IdentifyingValues): string {
  if (text.length > MAX_LENGTH) return '';
  const kept: string[] = [];
  for (const [run] of text.normalize('NFKC').matchAll(/\p{Script=Han}+|[^\s\p{Script=Han},;:_^~()[\]{}<>|="'\\]+/gu)) {
    if (/^\p{Script=Han}/u.test(run)) kept.push(...termsOf(run, identifying));
    else kept.push(...wordsOf(run, identifying));
  }
  const cleaned = kept.join(' ').slice(0, text.length).trim();
  return identifying.areIn(cleaned) ? '' : cleaned;
}

/** Modalities in capitals, otherwise titles of people. */
const TITLES = new Set(['mr', 'mrs', 'dr', 'ms']);

function wordsOf(run: string, identifying: IdentifyingValues): string[] {
  const may = (word: string): boolean => {
    const lower = word.toLowerCase();
    return word !== '' && isDescriptorWord(lower) && !(TITLES.has(lower) && word !== word.toUpperCase()) && !identifying.includes(word);
  };
  if (may(run)) return [run];
  // A lone digit is a phase; between others it is part of a date.
  return run.split(/[-/+&.*]+/).filter((word) => !/^\d+$/.test(word) && may(word));
}

/** Neighbouring terms stay together: 胸部平扫. */
function termsOf(run: string, identifying: IdentifyingValues): string[] {
  const parts: string[] = [];
  let open = false;
  for (let at = 0; at < run.length; ) {
    const term = descriptorTermAt(run.slice(at));
    if (term === '' || identifying.includes(term)) {
      open = false;
      at += Math.max(1, term.length);
      continue;
    }
    if (open) parts.push(`${parts.pop() ?? ''}${term}`);
    else parts.push(term);
    open = true;
    at += term.length;
  }
  return parts;
}
