import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { addRule, matchTree, matchesTree } from './matching.js';
import { parseSearchQuery } from './query.js';

/** Whether a data set has all that a query asks. */
function fits(query: string, attributes: DicomJson): boolean {
  const tree = matchTree();
  for (const { path, rule } of parseSearchQuery(query).matches) addRule(tree, path, rule);
  return matchesTree(tree, attributes);
}

const attributes: DicomJson = {
  '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'AXIAL'] },
  '00080022': { vr: 'DA', Value: ['20261121'] },
  '00080032': { vr: 'TM', Value: ['101530.25'] },
  '0008002A': { vr: 'DT', Value: ['20261121101530+0800'] },
  '00081050': { vr: 'PN', Value: [{ Alphabetic: 'Grey^Meredith' }, { Alphabetic: 'Yang^Cristina' }] },
  '00081155': { vr: 'UI', Value: ['1.2.3'] },
  '00104000': { vr: 'LT', Value: ['a\\b'] },
  '00180050': { vr: 'DS', Value: [2.5] },
  '00180060': { vr: 'DS', Value: ['120'] },
  '00200013': { vr: 'IS' },
  '00400275': { vr: 'SQ', Value: [
    { '00400009': { vr: 'SH', Value: ['STEP1'] }, '00401001': { vr: 'SH', Value: ['PROC1'] } },
    { '00400009': { vr: 'SH', Value: ['STEP2'] }, '00401001': { vr: 'SH', Value: ['PROC2'] } },
  ] },
};

describe('a data set', () => {
  it.each<[string, boolean]>([
    ['ImageType=AXIAL', true], ['ImageType=AXIAL,OTHER', true], ['ImageType=axial', false], ['ImageType=AX*', true],
    ['AcquisitionDate=20261121', true], ['AcquisitionDate=20261101-20261130', true], ['AcquisitionDate=-20261120', false], ['AcquisitionDate=20261121-', true],
    ['AcquisitionTime=1015', true], ['AcquisitionTime=101530', true], ['AcquisitionTime=101530.3', false], ['AcquisitionTime=1000-1015', true], ['AcquisitionTime=1016-', false],
    ['AcquisitionDateTime=20261121021530', true], ['AcquisitionDateTime=20261121101530%2B0800', true], ['AcquisitionDateTime=20261121-20261122', true], ['AcquisitionDateTime=2027', false],
    ['PerformingPhysicianName=yang*', true], ['PerformingPhysicianName=yang', false], ['PerformingPhysicianName=cristina&fuzzymatching=true', true], ['PerformingPhysicianName=bailey&fuzzymatching=true', false],
    ['ReferencedSOPInstanceUID=1.2.4,1.2.3', true], ['ReferencedSOPInstanceUID=1.2.4%5C1.2.5', false],
    ['SliceThickness=2.50', true], ['KVP=120', true], ['KVP=120%5C140', true], ['KVP=12', false], ['PatientComments=a%5Cb', true],
    ['InstanceNumber=', true], ['InstanceNumber=0', false], ['PatientSize=1', false],
    ['RequestAttributesSequence.ScheduledProcedureStepID=STEP2', true], ['00400275.00400009=STEP3', false], ['RequestAttributesSequence=', true],
    ['00400275.00400009=STEP1&00400275.00401001=PROC1', true], ['00400275.00400009=STEP1&00400275.00401001=PROC2', false],
  ])('fits %s: %s', (query, expected) => { expect(fits(query, attributes)).toBe(expected); });

  it('of damaged values does not fit and does not throw', () => {
    expect(fits('AcquisitionDate=20261121', { '00080022': { vr: 'DA', Value: ['yesterday', 7, null] } })).toBe(false);
    expect(fits('PerformingPhysicianName=x*', { '00081050': { vr: 'UN', Value: ['x'] } })).toBe(false);
    expect(fits('00400275.00400009=STEP1', { '00400275': { vr: 'SQ', Value: [null, 'x', {}] } })).toBe(false);
  });
});
