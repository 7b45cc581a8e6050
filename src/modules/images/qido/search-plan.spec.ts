import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { BlindIndex } from '../../../platform/crypto/key-vault.js';
import { parseSearchQuery } from './query.js';
import { planSearch, type Level, type SearchTarget } from './search-plan.js';

const index = new BlindIndex(Buffer.alloc(32, 7));
const plan = (level: Level, query: string, target: Partial<SearchTarget> = {}) => planSearch({ institutionId: 'i', level, ...target }, parseSearchQuery(query), index);
const verified = (level: Level, query: string): Record<string, unknown> => Object.fromEntries([...plan(level, query).verify].map(([of, { rules, sequences }]) => [of, [...rules.map(([tag]) => tag), ...sequences.keys()]]));

describe('the plan of a search', () => {
  it('asks plain columns for what is not encrypted', () => {
    expect(plan('study', 'StudyDate=20260101-&ModalitiesInStudy=CT&Modality=M*&NumberOfStudyRelatedSeries=2')).toMatchObject({
      columns: [{ test: 'date', column: 'studyDate', from: '20260101' }, { test: 'words', column: 'modalities' }, { test: 'words', column: 'modalities', patterns: [{ text: 'M*' }] }, { test: 'number', column: 'seriesCount', numbers: [2] }],
      tokens: [], verify: new Map(), warnings: [],
    });
    expect(plan('series', 'Modality=CT&SOPClassUID=1.2').columns).toMatchObject([{ test: 'word', column: 'modality' }]);
    expect(plan('instance', 'Rows=512&SOPClassUID=1.2').columns).toMatchObject([{ column: 'rows', numbers: [512] }, { column: 'sopClassUid', patterns: [{ text: '1.2', hasWildcards: false }] }]);
  });

  it('takes a range of dates and a range of times for one range', () => {
    expect(plan('study', 'StudyDate=20260705-20260707&StudyTime=1000-1800').columns).toEqual([{ test: 'moment', columns: ['studyDate', 'studyTime'], from: '20260705100000.000000', to: '20260707180059.999999' }]);
    expect(plan('series', 'PerformedProcedureStepStartTime=10-&PerformedProcedureStepStartDate=20260705-').columns).toEqual([{ test: 'moment', columns: ['performedDate', 'performedTime'], from: '20260705100000.000000' }]);
    for (const apart of ['StudyDate=20260705&StudyTime=1000-1800', 'StudyDate=20260705-20260707&StudyTime=10', 'StudyDate=20260705-&StudyTime=-1800']) expect(plan('study', apart).columns.map(({ test }) => test)).toEqual(['date', 'time']);
  });

  it('takes times across midnight with dates only', () => {
    expect(plan('study', 'StudyDate=20260705-20260707&StudyTime=22-06').columns).toEqual([{ test: 'moment', columns: ['studyDate', 'studyTime'], from: '20260705220000.000000', to: '20260707065959.999999' }]);
    expect(() => plan('study', 'StudyTime=22-06')).toThrow(expect.objectContaining({ code: 'invalid-query', errors: [expect.objectContaining({ pointer: '/StudyTime' })] }));
  });

  it('opens what the index only narrows, and nothing that it decides', () => {
    expect(verified('study', 'PatientID=P1&PatientName=Doe*&AccessionNumber=A*')).toEqual({});
    expect(verified('study', 'PatientName=*smith*&PatientSex=F')).toEqual({ study: ['00100010', '00100040'] });
    expect(verified('instance', 'PatientName=*smith*&SeriesDescription=x&ImageType=ORIGINAL&RequestAttributesSequence.ScheduledProcedureStepID=1')).toEqual({ study: ['00100010'], series: ['0008103E', '00400275'], instance: ['00080008'] });
  });

  it('warns of attributes that are not matched here', () => {
    expect(plan('study', 'SeriesDescription=x&Rows=5&RetrieveURL=x&00189999=1').warnings).toEqual(
      ['SeriesDescription', 'Rows', 'RetrieveURL'].map((name) => `The attribute ${name} is not supported for matching here and was ignored.`));
    expect(plan('study', 'InstanceAvailability=ONLINE')).toMatchObject({ columns: [], warnings: [] });
    expect(plan('study', 'InstanceAvailability=OFFLINE').columns).toEqual([{ test: 'nothing' }]);
  });

  it('refuses a pattern that nothing narrows, and does not repeat it', () => {
    for (const query of ['PatientName=*li*', 'PatientID=?1', 'StudyDescription=*ab', 'PatientName=*li*&PatientSex=F&ModalitiesInStudy=CT']) {
      expect(() => plan('study', query)).toThrow(expect.objectContaining({ code: 'unsupported-matching', errors: [expect.objectContaining({ pointer: `/${query.slice(0, query.indexOf('='))}` })] }));
    }
    try { plan('study', 'PatientName=*li*'); } catch (error) { expect(JSON.stringify([error instanceof AppError && error.detail, error instanceof AppError && error.errors])).not.toContain('li*'); }
    expect(plan('series', 'PatientName=*li*', { studyInstanceUid: '1.2' }).verify.size).toBe(1);
    for (const narrow of ['StudyDate=20260101', 'PatientID=P1', 'StudyInstanceUID=1.2', 'AccessionNumber=A*']) expect(plan('study', `PatientName=*li*&${narrow}`).verify.size).toBe(1);
  });
});
