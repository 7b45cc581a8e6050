import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { mayRead } from './access.js';
import { requireJson } from './exchange.js';
import { searchDays, searchInstants } from './search-dates.js';
import { FhirSearch } from './search.js';

const BASE = 'https://healthvision.example/fhir';
const parse = (query: string, strict = false, type: Parameters<typeof FhirSearch.parse>[0] = 'DiagnosticReport'): FhirSearch => FhirSearch.parse(type, new URLSearchParams(query), BASE, strict);
const refusal = (work: () => unknown): string[] => {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return [error.code, ...(error.errors ?? []).map(({ pointer }) => pointer)];
    throw error;
  }
  return [];
};
const utc = (text: string): Date => new Date(text);

describe('dates of a search', () => {
  it.each([
    ['2026', [{ from: utc('2026-01-01'), before: utc('2027-01-01') }]],
    ['eq2026-02', [{ from: utc('2026-02-01'), before: utc('2026-03-01') }]],
    ['2026-12-31', [{ from: utc('2026-12-31'), before: utc('2027-01-01') }]],
    ['ge2026-11-21', [{ from: utc('2026-11-21') }]],
    ['gt2026-11-21', [{ from: utc('2026-11-22') }]],
    ['lt2026-11', [{ before: utc('2026-11-01') }]],
    ['le2026-11', [{ before: utc('2026-12-01') }]],
    ['ne2026-11-21', [{ before: utc('2026-11-21') }, { from: utc('2026-11-22') }]],
    ['2026-11-21T10:00', [{ from: utc('2026-11-21T10:00Z'), before: utc('2026-11-21T10:01Z') }]],
    ['2026-11-21T10:00:05+08:00', [{ from: utc('2026-11-21T02:00:05Z'), before: utc('2026-11-21T02:00:06Z') }]],
    // A plus that a form made a space of.
    ['2026-11-21T10:00:05 08:00', [{ from: utc('2026-11-21T02:00:05Z'), before: utc('2026-11-21T02:00:06Z') }]],
    ['gt2026-11-21T10:00:05.123456Z', [{ from: utc('2026-11-21T10:00:05.124Z') }]],
  ])('%s spans what it says', (text, ranges) => {
    expect(searchInstants(text)).toEqual(ranges);
  });

  it.each(['', 'x', '26', '2026-1', '2026-13', '2026-02-30', 'ap2026', 'GE2026', '2026-11-21T25:00', '2026-11-21T10', '0000', '2026-11-21T10:00:00+99:99', ' 2026', '2026\n', '2026-11-21Z'])('%j is none', (text) => {
    expect(searchInstants(text)).toBeUndefined();
    expect(searchDays(text)).toBeUndefined();
  });

  it('are days where there is no time', () => {
    expect(searchDays('2026-11-21T23:59:00-05:00')).toEqual([{ from: '20261121', before: '20261122' }]);
    expect(searchDays('gt2026')).toEqual([{ from: '20270101' }]);
    expect(searchDays('le2026-02')).toEqual([{ before: '20260301' }]);
  });
});

describe('a search', () => {
  it('has alternatives at commas and conditions at each time that a parameter is given', () => {
    const search = parse('status=final,amended&status=http://x|final&status=|a\\,b');
    expect(search.tokens('status')).toEqual([[{ system: undefined, code: 'final' }, { system: undefined, code: 'amended' }], [{ system: 'http://x', code: 'final' }], [{ system: '', code: 'a,b' }]]);
  });

  it('takes references in each of their forms, and none of another server', () => {
    expect(parse(`patient=1,Patient/2,${BASE}/Patient/3&subject:Patient=4&subject=ImagingStudy/5`).references('Patient', 'patient', 'subject')).toEqual([['1', '2', '3'], ['4'], []]);
    for (const query of ['patient=https://elsewhere/fhir/Patient/1', 'patient=Group/1', 'patient=Patient/1/_history/2', 'patient:Group=1', 'patient:Patient:x=1', 'patient=a b', 'patient=']) expect(refusal(() => parse(query)), query).toEqual(['invalid-query', `/${query.split('=')[0] ?? ''}`]);
  });

  it('says what it ignored, or refuses it when it is to be strict', () => {
    expect(parse('_sort=x&name=y&_format=json').ignored).toEqual(['_sort', 'name']);
    expect(refusal(() => parse('_sort=x&name=y', true))).toEqual(['invalid-query', '/_sort', '/name']);
    // A name may be anything, and stands in the answer.
    expect(parse('%3Cscript%3E=1&__proto__=2').ignored).toEqual(['unknown', '__proto__']);
  });

  it('links to what it did, without what names a patient', () => {
    const search = parse('identifier=P-1&nonsense=x&_count=1000', false, 'Patient').withIds(['a', 'b'], 'identifier');
    expect(search.link(BASE, 'c')).toBe(`${BASE}/Patient?_id=a%2Cb&_count=200&_cursor=c`);
    expect(search.tokens('identifier')).toEqual([]);
    expect(parse('identifier=P-1', false, 'Patient').withIds([], 'identifier').link(BASE, undefined)).toBe(`${BASE}/Patient?_id=none&_count=50`);
  });

  it('follows only what leads somewhere', () => {
    expect(parse('_include=DiagnosticReport:result&_include=DiagnosticReport:patient:Patient&_include=DiagnosticReport:result').includes).toEqual(['result', 'patient']);
    expect(parse('_include=*&_include=Observation:device&_include=DiagnosticReport:patient:Group&_include=DiagnosticReport:__proto__')).toMatchObject({ includes: [], ignored: ['_include'] });
  });
});

describe('who may read a type', () => {
  const client = (...scopes: string[]) => ({ permissions: new Set(['results:read', 'images:read']), scopes });

  it('goes by the permission, and for SMART scopes by the type and the manner', () => {
    expect(mayRead({ permissions: new Set(['results:read']) }, 'Observation', 's')).toBe(true);
    expect(mayRead({ permissions: new Set(['results:read']) }, 'ImagingStudy', 's')).toBe(false);
    expect(mayRead(client('system/Observation.rs'), 'Observation', 'r')).toBe(true);
    expect(mayRead(client('system/Observation.rs'), 'DiagnosticReport', 'r')).toBe(false);
    expect(mayRead(client('system/Observation.r'), 'Observation', 's')).toBe(false);
    expect(mayRead(client('system/Observation.s'), 'Observation', 's')).toBe(true);
    expect(mayRead(client('system/*.read'), 'ImagingStudy', 's')).toBe(true);
    expect(mayRead(client('system/*.read'), 'Patient', 's')).toBe(false);
    expect(mayRead(client('results:read', 'system/ImagingStudy.rs'), 'Provenance', 'r')).toBe(true);
  });
});

describe('what may be asked for', () => {
  it.each([undefined, '', '*/*', 'application/*', 'application/json', 'application/fhir+json', 'application/fhir+json; fhirVersion=4.0', 'Application/FHIR+JSON;q=0.1, text/html', 'application/fhir+xml;q=0.9, */*;q=0.1'])('takes Accept: %j', (accept) => {
    expect(refusal(() => { requireJson(accept, null); })).toEqual([]);
  });

  it.each(['application/fhir+xml', 'text/html', 'application/fhir+json;fhirVersion=3.0', 'application/fhir+json; fhirVersion="5.0"', 'application/fhir+json;q=0', 'nonsense', ';;;'])('refuses Accept: %j', (accept) => {
    expect(refusal(() => { requireJson(accept, null); })).toEqual(['not-acceptable']);
    expect(refusal(() => { requireJson(accept, 'json'); })).toEqual([]);
  });

  it('goes by _format first', () => {
    for (const format of ['json', 'application/fhir json', 'application/fhir+json; fhirVersion=4.0']) expect(refusal(() => { requireJson('text/xml', format); })).toEqual([]);
    for (const format of ['xml', '', 'ttl']) expect(refusal(() => { requireJson(undefined, format); })).toEqual(['not-acceptable']);
  });
});
