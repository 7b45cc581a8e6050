import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { BlindIndex } from '../../../platform/crypto/key-vault.js';
import { matchesElement } from './matching.js';
import { parseSearchQuery } from './query.js';
import { accessionToken, beginningsOf, patientIdToken, studyTokens, tokenCondition, type StudyTokens } from './search-tokens.js';

const index = new BlindIndex(Buffer.alloc(32, 7));

const study: DicomJson = {
  '00080050': { vr: 'SH', Value: ['A-77'] },
  '00080090': { vr: 'PN', Value: [{ Alphabetic: 'Grey^Meredith' }] },
  '00081030': { vr: 'LO', Value: ['CT Thorax with contrast'] },
  '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' }] },
  '00100020': { vr: 'LO', Value: ['P-1024'] },
  '00100030': { vr: 'DA', Value: ['19720304'] },
  '00200010': { vr: 'SH', Value: ['S1'] },
};

/** What the database says of a study with these tokens. */
function holds({ patientIdToken: patient, accessionToken: accession, searchTokens }: StudyTokens, condition: NonNullable<ReturnType<typeof tokenCondition>>): boolean {
  if (condition.in !== 'searchTokens') return condition.tokens.includes((condition.in === 'patientIdToken' ? patient : accession) ?? 0n);
  const has = new Set(searchTokens);
  return condition.alternatives.some(({ all, oneOfEach }) => all.every((token) => has.has(token)) && oneOfEach.every((tokens) => tokens.some((token) => has.has(token))));
}

const conditionOf = (query: string) => { const match = parseSearchQuery(query).matches[0]; return match && tokenCondition(index, match.path[0], match.rule); };
const found = (query: string, attributes = study): boolean | 'unknown' => { const condition = conditionOf(query); return condition ? holds(studyTokens(index, attributes), condition) : 'unknown'; };

describe('what people type in one field', () => {
  const tokens = new Set(studyTokens(index, study).searchTokens);
  const finds = (text: string): boolean => beginningsOf(index, text).some((list) => list.every((token) => tokens.has(token)));

  it.each(['wang', 'xiao', 'XIAODONG wan', 'Wang^XiaoDong', '王小东', '小东', '王 小', ' P-1', 'P-1024', 'A-7'])('finds by %j', (text) => { expect(finds(text)).toBe(true); });
  it.each(['ang', 'wang li', '东', 'p-1024', 'P-1025', '-77', 'CT', 'Grey', '', '^', '*'])('does not find by %j', (text) => { expect(finds(text)).toBe(false); });
});

describe('the blind index of a study', () => {
  it('has columns for Patient ID and Accession Number', () => {
    const { patientIdToken: patient, accessionToken: accession } = studyTokens(index, study);
    expect(patient).toBe(patientIdToken(index, ' P-1024 '));
    expect(accession).toBe(accessionToken(index, 'A-77'));
    expect(patientIdToken(index, 'p-1024')).not.toBe(patient);
    expect(patientIdToken(index, 'A-77')).not.toBe(accession);
    expect(studyTokens(index, {})).toEqual({ patientIdToken: null, accessionToken: null, searchTokens: [] });
  });

  it('is another one under another key, has each token once, and not too many', () => {
    const { searchTokens } = studyTokens(index, study);
    expect(new Set(searchTokens).size).toBe(searchTokens.length);
    expect(searchTokens.length).toBeLessThan(300);
    expect(searchTokens.every((token) => BigInt.asIntN(64, token) === token)).toBe(true);
    const others = new Set(studyTokens(new BlindIndex(Buffer.alloc(32, 8)), study).searchTokens);
    expect(searchTokens.some((token) => others.has(token))).toBe(false);
  });

  it('takes damaged values as they are', () => {
    const damaged: DicomJson = { '00100010': { vr: 'PN', Value: [null, 'x', 7] }, '00100020': { vr: 'LO', Value: [7, '', null] }, '00100030': { vr: 'DA', Value: ['unknown'] }, '00081030': { vr: 'SQ', Value: [{}] }, '00080050': { vr: 'SH' } };
    expect(studyTokens(index, damaged)).toEqual({ patientIdToken: null, accessionToken: null, searchTokens: [] });
  });

  it.each<[string, boolean | 'unknown']>([
    ['PatientID=P-1024', true], ['PatientID=p-1024', false], ['PatientID=P-1*', true], ['PatientID=*102*', true], ['PatientID=*24', 'unknown'], ['PatientID=P?1024', true], ['PatientID=P-1%5CP-1024', true], ['PatientID=P-1%5CP-10*', true],
    ['AccessionNumber=A-77', true], ['AccessionNumber=A*', true], ['AccessionNumber=B*', false], ['StudyID=S1', true], ['StudyID=?1', 'unknown'],
    ['PatientName=wang^xiaodong', true], ['PatientName=wang', false], ['PatientName=wang*', true], ['PatientName=王*', true], ['PatientName=*小东', true], ['PatientName=*东', 'unknown'], ['PatientName=*dong', true], ['PatientName=wang^*', true],
    ['PatientName=%3D王*', true], ['PatientName=*ng', 'unknown'], ['PatientName=dong&fuzzymatching=true', false], ['PatientName=weng&fuzzymatching=true', true], ['PatientName=王小东&fuzzymatching=true', true],
    ['PatientName=*ng&fuzzymatching=true', false], ['PatientName=*xiao*&fuzzymatching=true', true],
    ['PatientBirthDate=19720304', true], ['PatientBirthDate=1972.03.04'.replaceAll('.', ''), true], ['PatientBirthDate=19720305', false], ['PatientBirthDate=19720301-19720331', 'unknown'], ['PatientSex=F', 'unknown'],
    ['StudyDescription=CT Thorax with contrast', true], ['StudyDescription=*Thorax*', true], ['StudyDescription=*thorax*', false], ['StudyDescription=CT Thorax with contr*', true], ['ReferringPhysicianName=grey*', true],
  ])('finds %s: %s', (query, expected) => { expect(found(query)).toBe(expected); });

  it('that would be too large still misses nothing', () => {
    const letters = Array.from({ length: 600 }, (_, at) => String.fromCharCode(0x4e00 + at)).join('');
    const large: DicomJson = { ...study, '00081030': { vr: 'LO', Value: [letters] } };
    expect(studyTokens(index, large).searchTokens.length).toBeLessThanOrEqual(401);
    const tail = letters.slice(-5);
    expect(found(`StudyDescription=*${tail}`, large)).toBe(true);
    expect(conditionOf(`StudyDescription=*${tail}`)?.decides).toBe(false);
  });
});

describe('tokens and comparison', () => {
  const PIECES = ['A', 'b', 'AN', 'ann', '^', ' ', '-', '王', '小', '东', 'ü', 'U', 'ß', '1', 'ﾀﾛｳ', 'タ', '𠮷', "'"];
  let seed = 4711;
  const random = (most: number): number => { seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0; return (seed >>> 8) % most; };
  const text = (most: number, pieces = PIECES): string => Array.from({ length: 1 + random(most) }, () => pieces[random(pieces.length)]).join('');

  it.each(['PatientName', 'StudyDescription'])('of %s agree: nothing that fits is missed, and what the tokens decide is right', (keyword) => {
    const [tag, fuzzy] = keyword === 'PatientName' ? ['00100010', '&fuzzymatching=true'] : ['00081030', ''];
    let hits = 0;
    for (let round = 0; round < 1_500; round++) {
      const value = text(9);
      const element = keyword === 'PatientName' ? { vr: 'PN', Value: [random(2) === 0 ? { Alphabetic: value } : { Alphabetic: text(4), Ideographic: value }] } : { vr: 'LO', Value: [value] };
      const letters = Array.from(value);
      const part = (from: number, to?: number): string => letters.slice(from, to).join('');
      const [from = 0, to = 0] = [random(letters.length), random(letters.length)].sort((a, b) => a - b);
      // Most patterns are made of the value itself.
      const pattern = [text(6, [...PIECES, '*', '?', '*']), `${part(0, from)}*${part(to)}`, `*${part(from, to)}*`, `${part(0, to)}*`, value.replace(/[Ab1]/, '?')][random(5)] ?? '';
      const query = `${keyword}=${encodeURIComponent(pattern)}${round % 3 === 0 ? fuzzy : ''}`;
      const match = parseSearchQuery(query).matches[0];
      if (!match || match.rule.type === 'universal') continue;
      const condition = tokenCondition(index, tag, match.rule);
      if (!condition) continue;
      const isFound = holds(studyTokens(index, { [tag]: element }), condition);
      // A literal pattern that the index cannot help with is left to the fuzzy words.
      const rule = match.rule.type === 'name' && match.rule.words.length > 0 && !tokenCondition(index, tag, { ...match.rule, words: [] }) ? { ...match.rule, names: [] } : match.rule;
      const fits = matchesElement(rule, element);
      if (fits) hits++;
      if (fits && !isFound) throw new Error(`${query} misses ${JSON.stringify(element)}`);
      if (condition.decides && isFound && !fits) throw new Error(`${query} wrongly finds ${JSON.stringify(element)}`);
    }
    expect(hits).toBeGreaterThan(300);
  });
});
