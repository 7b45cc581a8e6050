import { describe, expect, it } from 'vitest';
import { tagOf } from '../dicom/dictionary.js';
import { sidesOf } from './orientation.js';

describe('sidesOf', () => {
  it('puts the direction of the rows at the right edge', () => {
    expect(sidesOf({ [tagOf('PatientOrientation')]: { vr: 'CS', Value: ['L', 'F'] } })).toEqual({ left: 'R', right: 'L' });
    expect(sidesOf({ [tagOf('PatientOrientation')]: { vr: 'CS', Value: ['PR', 'F'] } })).toEqual({ left: 'A', right: 'P' });
  });

  it('falls back to Image Orientation (Patient)', () => {
    expect(sidesOf({ [tagOf('ImageOrientationPatient')]: { vr: 'DS', Value: [-0.99, 0.05, 0, 0, 1, 0] } })).toEqual({ left: 'L', right: 'R' });
    expect(sidesOf({ [tagOf('ImageOrientationPatient')]: { vr: 'DS', Value: [0, 1, 0, 0, 0, -1] } })).toEqual({ left: 'A', right: 'P' });
  });

  it('never guesses', () => {
    expect(sidesOf({})).toBeUndefined();
    expect(sidesOf({ [tagOf('PatientOrientation')]: { vr: 'CS', Value: ['X'] } })).toBeUndefined();
    expect(sidesOf({ [tagOf('ImageOrientationPatient')]: { vr: 'DS', Value: [Math.SQRT1_2, Math.SQRT1_2, 0, 0, 0, 1] } })).toBeUndefined();
  });
});
