import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { parseSearchQuery, type IncludeTree } from './query.js';

/** Pointers of what is wrong with a query. */
function faults(query: string): string[] {
  try {
    parseSearchQuery(query);
    return [];
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid-query') throw error;
    return (error.errors ?? []).map(({ pointer }) => pointer);
  }
}

const only = (query: string) => parseSearchQuery(query).matches[0];

describe('the query of a search', () => {
  it('may be empty', () => {
    expect(parseSearchQuery('')).toEqual({ matches: [], include: new Map(), includeAll: false, limit: undefined, offset: 0, accept: undefined, warnings: [] });
  });

  it('names attributes by keyword, tag and path', () => {
    expect(only('PatientID=P1')).toEqual({ parameter: 'PatientID', path: ['00100020'], rule: { type: 'text', patterns: [{ text: 'P1', hasWildcards: false }] } });
    expect(only('0020000d=1.2')?.path).toEqual(['0020000D']);
    expect(only('RequestAttributesSequence.00400009=A')?.path).toEqual(['00400275', '00400009']);
    expect(only('RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue=A')?.path).toEqual(['00400275', '00400008', '00080100']);
  });

  it.each([
    ['StudyInstanceUID=1.2,1.3', { type: 'uid', uids: ['1.2', '1.3'] }],
    ['StudyInstanceUID=1.2%5C1.3', { type: 'uid', uids: ['1.2', '1.3'] }],
    ['StudyDate=20260101', { type: 'date', from: '20260101', to: '20260101', single: true }],
    ['StudyDate=20260101-20260131', { type: 'date', from: '20260101', to: '20260131' }],
    ['StudyDate=20260101%20-%2020260131', { type: 'date', from: '20260101', to: '20260131' }],
    ['StudyDate=20260101-', { type: 'date', from: '20260101' }],
    ['StudyDate=-20260131', { type: 'date', to: '20260131' }],
    ['StudyTime=08-1159', { type: 'time', from: '080000.000000', to: '115959.999999' }],
    ['AcquisitionDateTime=2019-2020', { type: 'moment', from: Date.UTC(2019, 0), before: Date.UTC(2021, 0) }],
    ['AcquisitionDateTime=2019-0500', { type: 'moment', from: Date.UTC(2019, 0) + 5 * 3_600_000, before: Date.UTC(2020, 0) + 5 * 3_600_000 }],
    ['AcquisitionDateTime=20190101-0500-20190102-0500', { type: 'moment', from: Date.UTC(2019, 0, 1, 5), before: Date.UTC(2019, 0, 3, 5) }],
    ['ModalitiesInStudy=CT,MR', { type: 'text', patterns: [{ text: 'CT', hasWildcards: false }, { text: 'MR', hasWildcards: false }] }],
    ['StudyDescription=a,b*', { type: 'text', patterns: [{ text: 'a,b*', hasWildcards: true }] }],
    ['SeriesNumber=%2B7', { type: 'number', numbers: [7] }],
    ['PatientName=', { type: 'universal' }], ['PatientName=*', { type: 'universal' }], ['PatientName=**', { type: 'universal' }], ['PatientName=*%3D*', { type: 'universal' }], ['StudyDate=', { type: 'universal' }], ['RequestAttributesSequence=', { type: 'universal' }],
  ])('%s', (query, rule) => { expect(only(query)?.rule).toEqual(rule); });

  it('folds what it compares names with', () => {
    expect(only('PatientName=m%C3%BCller%5E*')?.rule).toEqual({ type: 'name', names: [{ groups: 'any', patterns: [{ text: 'MULLER^*', hasWildcards: true }, { text: 'MULLER', hasWildcards: false }] }], words: [] });
    expect(only('PatientName=%3D%E7%8E%8B*')?.rule).toEqual({ type: 'name', names: [{ groups: 'each', patterns: [undefined, [{ text: '王*', hasWildcards: true }]] }], words: [] });
    expect(only('PatientName=*Smith,john*&fuzzymatching=true')?.rule).toMatchObject({ words: ['SMITH', 'JOHN'] });
    expect(only('fuzzymatching=false&PatientName=Smith')?.rule).toMatchObject({ words: [] });
  });

  it('includes what it names, what it matches and parts of sequences', () => {
    const { include, includeAll } = parseSearchQuery('includefield=00081030,Modality&includefield=RequestAttributesSequence.ScheduledProcedureStepID&PatientSex=F&00400275.00401001=');
    expect(include).toEqual(new Map<string, IncludeTree | 'whole'>([
      ['00081030', 'whole'], ['00080060', 'whole'], ['00400275', new Map([['00400009', 'whole'], ['00401001', 'whole']])], ['00100040', 'whole'],
    ]));
    expect(includeAll).toBe(false);
    expect(parseSearchQuery('includefield=all').includeAll).toBe(true);
    expect(parseSearchQuery('includefield=00400275.00400009&includefield=00400275&includefield=00400275.00401001').include.get('00400275')).toBe('whole');
  });

  it('has controls', () => {
    expect(parseSearchQuery('limit=10&offset=20&fuzzymatching=true&accept=application/dicom%2Bjson&charset=utf-8')).toMatchObject({ limit: 10, offset: 20, accept: 'application/dicom+json', matches: [], warnings: [] });
  });

  it('warns of what is not done', () => {
    expect(parseSearchQuery('emptyvaluematching=true&multiplevaluematching=true').warnings).toEqual([
      'The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed.',
      'The multiplevaluematching parameter is not supported. Multiple Value Matching has not been performed.',
    ]);
    expect(parseSearchQuery('emptyvaluematching=false').warnings).toEqual([]);
    expect(parseSearchQuery('00091001=x&PixelData=x')).toMatchObject({
      matches: [], warnings: ['The attribute 00091001 is not supported for matching and was ignored.', 'The attribute PixelData is not supported for matching and was ignored.'],
    });
  });

  it.each([
    ['PatientNam=x'], ['x=1'], ['00100=1'], ['patientname=x'], ['00020010=1.2'], ['PatientID.CodeValue=x'], ['RequestAttributesSequence=x'], ['RequestAttributesSequence.=x'], ['=x'],
    ['limit=-1'], ['limit=1.5'], ['limit='], ['limit=99999999999'], ['offset=a'], ['fuzzymatching=yes'], ['charset=gb18030'], ['includefield=Nothing'],
    ['StudyDate=2026'], ['StudyDate=20261301'], ['StudyDate=20260102-20260101'], ['StudyDate=2026-01-01'], ['StudyDate=-'], ['StudyDate=20260101-20260102-'], ['StudyDate=2026*'], ['StudyTime=25'], ['AcquisitionDateTime=x'],
    ['StudyInstanceUID=1.2.x'], ['StudyInstanceUID=1.2*'], ['StudyInstanceUID=,'], ['SeriesNumber=1.5'], ['SeriesNumber=x'], ['SliceThickness=1e'], ['PatientName=a%3Db%3Dc%3Dd'], ['PatientID=%FF'], [`PatientID=${'x'.repeat(1025)}`],
    [`ModalitiesInStudy=${'CT,'.repeat(40)}`], [`${'RequestAttributesSequence.'.repeat(9)}CodeValue=1`],
  ])('%s is refused with a pointer to the parameter', (query) => {
    expect(faults(query)).toEqual([`/${decodeURIComponent(query.slice(0, query.indexOf('='))).slice(0, 100)}`]);
  });

  it('is told all that is wrong at once, and never the values', () => {
    const query = 'StudyDate=secret&limit=secret&PatientID=P1&PatientID=P2&00100020=P3';
    expect(faults(query)).toEqual(['/StudyDate', '/limit', '/PatientID', '/00100020']);
    expect(() => parseSearchQuery(query)).not.toThrow('secret');
    try { parseSearchQuery(query); } catch (error) { expect(JSON.stringify((error as AppError).errors)).not.toMatch(/secret|P[123]"/); }
  });

  it('takes a hundred parameters and no more', () => {
    const tags = Array.from({ length: 101 }, (_, at) => `0018${(0x1000 + at).toString(16)}=`);
    expect(parseSearchQuery(tags.slice(0, 100).join('&')).matches).toHaveLength(100);
    expect(() => parseSearchQuery(tags.join('&'))).toThrow('at most 100');
  });
});
