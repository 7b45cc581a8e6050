import { describe, expect, it } from 'vitest';
import { sourceFacts } from './source-facts.js';

describe('what is kept of where images come from', () => {
  it('names station, scanner and numbers, and nothing of the patient', () => {
    expect(sourceFacts({
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Doe^Jane' }] }, '00080070': { vr: 'LO', Value: [' ACME\tMedical '] }, '00081090': { vr: 'LO', Value: ['One'] }, '00081010': { vr: 'SH', Value: ['CT1'] },
      '00180050': { vr: 'DS', Value: ['1.25'] }, '00280030': { vr: 'DS', Value: [0.7, 0.7] }, '00280010': { vr: 'US', Value: [512] },
    }, 300)).toEqual({ station: 'CT1', scanner: 'ACME Medical One', input: { frames: 300, sliceThicknessMm: 1.25, rows: 512, pixelSpacingMm: 0.7 } });
  });

  it('does without all of it', () => {
    expect(sourceFacts({ '00080070': { vr: 'LO' }, '00280030': { vr: 'DS', Value: ['x'] }, '00181164': { vr: 'DS', Value: [0.14, 0.14] } }, 1)).toEqual({ station: null, scanner: null, input: { frames: 1, pixelSpacingMm: 0.14 } });
    expect(sourceFacts({ '00080070': { vr: 'LO', Value: ['x'.repeat(1_000)] } }, 1).scanner).toHaveLength(64);
  });
});
