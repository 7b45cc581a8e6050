import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { parseSearchQuery } from './query.js';
import { selectionOf, type Opened } from './search-answer.js';
import { LEVELS, type SearchTarget } from './search-plan.js';
import type { FoundRow } from './search.store.js';
import { StoredAttributes } from './stored-attributes.js';

const row: FoundRow = {
  studyId: 's', keyId: 'k', studyInstanceUid: '1.2', modalities: ['CT', 'SR'], sopClasses: ['1.9'], seriesCount: 2, instanceCount: 3, studySealed: null,
  seriesId: 'e', seriesInstanceUid: '1.2.3', seriesInstanceCount: 1, seriesSealed: null, instanceId: 'i', sopInstanceUid: '1.2.3.4', sopClassUid: '1.9', instanceSealed: null, seriesOrder: 0, instanceOrder: 0,
};
const studyRow: FoundRow = { ...row, seriesId: null, seriesInstanceUid: null, seriesInstanceCount: null, instanceId: null, sopInstanceUid: null, sopClassUid: null };
const seriesRow: FoundRow = { ...row, instanceId: null, sopInstanceUid: null, sopClassUid: null };

const opened = {
  study: { '00080005': { vr: 'CS', Value: ['GB18030'] }, '00080020': { vr: 'DA', Value: ['20261121'] }, '00080201': { vr: 'SH', Value: ['+0800'] }, '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang', Ideographic: '王' }] }, '00104000': { vr: 'LT', Value: ['note'] } },
  series: {
    '00080060': { vr: 'CS', Value: ['CT'] }, '00081070': { vr: 'PN', Value: [{ Alphabetic: 'Op' }] },
    '00400275': { vr: 'SQ', Value: [{ '00400007': { vr: 'LO', Value: ['d'] }, '00400009': { vr: 'SH', Value: ['1'] }, '00401001': { vr: 'SH', Value: ['2'] } }] },
  },
  instance: {
    '00080008': { vr: 'CS', Value: ['ORIGINAL'] }, '00200013': { vr: 'IS', Value: [7] }, '00280010': { vr: 'US', Value: [512] }, '00280100': { vr: 'US', Value: [16] }, '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Old' }] },
    '00091001': { vr: 'OB', BulkDataURI: 'hv:/00091001' }, '7FE00010': { vr: 'OW', BulkDataURI: 'hv:/7FE00010' },
    '54000100': { vr: 'SQ', Value: [{ '54001004': { vr: 'US', Value: [8] }, '54001010': { vr: 'OW', BulkDataURI: 'hv:/54000100/0/54001010' } }] },
  },
};

const target: Record<string, SearchTarget> = {
  studies: { institutionId: 'x', level: 'study' }, series: { institutionId: 'x', level: 'series' }, seriesOfStudy: { institutionId: 'x', level: 'series', studyInstanceUid: '1.2' },
  instances: { institutionId: 'x', level: 'instance' }, instancesOfStudy: { institutionId: 'x', level: 'instance', studyInstanceUid: '1.2' }, instancesOfSeries: { institutionId: 'x', level: 'instance', studyInstanceUid: '1.2', seriesInstanceUid: '1.2.3' },
};

function answer(where: string, query = '', what: Partial<Record<string, DicomJson>> = opened): { json: DicomJson; text: string; opens: string[] } {
  const at = target[where] ?? { institutionId: 'x', level: 'study' };
  const selection = selectionOf(at, parseSearchQuery(query), 'https://host/dicom-web/studies');
  const stored: Opened = {};
  for (const level of LEVELS) if (what[level]) stored[level] = new StoredAttributes(what[level]);
  const text = selection.text(at.level === 'study' ? studyRow : at.level === 'series' ? seriesRow : row, stored);
  return { text, json: JSON.parse(text) as DicomJson, opens: [...selection.opens].sort() };
}

const STUDY_TABLE = ['00080005', '00080020', '00080030', '00080050', '00080056', '00080061', '00080090', '00081190', '00100010', '00100020', '00100030', '00100040', '0020000D', '00200010', '00201206', '00201208'];

describe('a result', () => {
  it('for a study has all that PS3.18 table 10.6.3-3 asks for, empty when it is not known', () => {
    const { json, opens } = answer('studies');
    expect(Object.keys(json)).toEqual([...STUDY_TABLE, '00080201'].sort());
    expect(json).toMatchObject({
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00080030': { vr: 'TM' }, '00080056': { Value: ['ONLINE'] }, '00080061': { vr: 'CS', Value: ['CT', 'SR'] }, '00081190': { vr: 'UR', Value: ['https://host/dicom-web/studies/1.2'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang', Ideographic: '王' }] }, '00200010': { vr: 'SH' }, '00201206': { vr: 'IS', Value: [2] }, '00201208': { vr: 'IS', Value: [3] },
    });
    expect(json['00080030']).toEqual({ vr: 'TM' });
    expect(opens).toEqual(['study']);
  });

  it('for a series has what table 10.6.3-4 asks for, and the study only when the URL does not name it', () => {
    const { json, opens } = answer('seriesOfStudy');
    expect(Object.keys(json)).toEqual(['00080005', '00080056', '00080060', '00081190', '0020000D', '0020000E', '00200011', '00201209', '00400275']);
    expect(json['00400275']?.Value).toEqual([{ '00400009': { vr: 'SH', Value: ['1'] }, '00401001': { vr: 'SH', Value: ['2'] } }]);
    expect(json['00081190']?.Value).toEqual(['https://host/dicom-web/studies/1.2/series/1.2.3']);
    expect(opens).toEqual(['series']);
    const all = answer('series');
    expect(Object.keys(all.json)).toEqual(expect.arrayContaining([...STUDY_TABLE, '00080060', '0020000E']));
    expect(all.opens).toEqual(['series', 'study']);
  });

  it('for an instance has what table 10.6.3-5 asks for, and of the levels above what the URL does not name', () => {
    const { json, opens } = answer('instancesOfSeries');
    expect(Object.keys(json)).toEqual(['00080005', '00080016', '00080018', '00080056', '00081190', '0020000D', '0020000E', '00200013', '00280010', '00280100']);
    expect(json['00081190']?.Value).toEqual(['https://host/dicom-web/studies/1.2/series/1.2.3/instances/1.2.3.4']);
    expect(opens).toEqual(['instance']);
    expect(answer('instancesOfStudy').opens).toEqual(['instance', 'series']);
    expect(answer('instancesOfStudy').json).toHaveProperty('00080060');
    const all = answer('instances');
    expect(Object.keys(all.json)).toEqual(expect.arrayContaining([...STUDY_TABLE, '00080018', '00080060', '00201209']));
    // What the study says counts, whatever one of its instances says.
    expect(all.json['00100010']?.Value).toEqual([{ Alphabetic: 'Wang', Ideographic: '王' }]);
  });

  it('has what was asked for and what was matched, of its own level and above', () => {
    expect(answer('seriesOfStudy', 'includefield=PatientName,00081070,ImageType,SOPClassesInStudy').json).toMatchObject({ '00100010': {}, '00081070': {}, '00080062': { vr: 'UI', Value: ['1.9'] } });
    expect(answer('seriesOfStudy', 'includefield=ImageType').json).not.toHaveProperty('00080008');
    expect(answer('studies', 'PatientComments=note').json['00104000']?.Value).toEqual(['note']);
    expect(answer('studies', 'includefield=Modality').json).not.toHaveProperty('00080060');
    expect(answer('seriesOfStudy', 'includefield=RequestAttributesSequence.ScheduledProcedureStepDescription').json['00400275']?.Value).toEqual([opened.series['00400275'].Value[0]]);
    expect(answer('seriesOfStudy', 'includefield=RequestAttributesSequence').json['00400275']).toEqual(opened.series['00400275']);
  });

  it('has all of its level on request, without large values and in the order of tags', () => {
    const { json, text } = answer('instancesOfSeries', 'includefield=all');
    expect(json).toMatchObject({ '00080008': { vr: 'CS' }, '00080005': { Value: ['ISO_IR 192'] }, '54000100': { vr: 'SQ', Value: [{ '54001004': { vr: 'US', Value: [8] } }] } });
    expect(text).not.toContain('hv:/');
    expect(json).not.toHaveProperty('7FE00010');
    const tags = [...text.matchAll(/"([0-9A-F]{8})":\{"vr"/g)].map(([, tag = '']) => tag).filter((tag) => tag !== '54001004');
    expect(tags).toEqual([...tags].sort());
    expect(answer('studies', 'includefield=all').json).toMatchObject({ '00104000': {}, '00080062': {}, '00200010': { vr: 'SH' } });
    expect(answer('series', 'includefield=all').json).toMatchObject({ '00104000': {}, '00081070': {}, '00400275': opened.series['00400275'] });
  });

  it('is addressable although nothing of it could be opened', () => {
    expect(answer('instancesOfSeries', '', {}).json).toMatchObject({ '0020000D': { Value: ['1.2'] }, '00080018': { Value: ['1.2.3.4'] }, '00200013': { vr: 'IS' } });
    expect(answer('studies', 'includefield=all', {}).json).toMatchObject({ '0020000D': { Value: ['1.2'] }, '00100010': { vr: 'PN' } });
  });
});
