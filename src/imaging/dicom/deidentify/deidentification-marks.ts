import type { DicomJson } from '../dicom-json.js';
import type { DeidentificationOptions } from './treatment.js';

/** CID 7050. @see PS3.16, PS3.15 E.3 */
const METHODS = {
  basic: ['113100', 'Basic Application Confidentiality Profile'],
  cleanPixelData: ['113101', 'Clean Pixel Data Option'],
  cleanDescriptors: ['113105', 'Clean Descriptors Option'],
  modifiedDates: ['113107', 'Retain Longitudinal Temporal Information Modified Dates Option'],
  retainDevice: ['113109', 'Retain Device Identity Option'],
} as const satisfies Record<string, readonly [code: string, meaning: string]>;

/** The codes of the profile and of the options that were applied. */
export function methodCodes(options: DeidentificationOptions): { code: string; meaning: string }[] {
  const applied: readonly (readonly [string, string])[] = [
    METHODS.basic,
    ...(options.cleanPixelData ? [METHODS.cleanPixelData] : []),
    ...(options.cleanDescriptors ? [METHODS.cleanDescriptors] : []),
    ...(options.longitudinal === 'shift' ? [METHODS.modifiedDates] : []),
    ...(options.retainDevice ? [METHODS.retainDevice] : []),
  ];
  return applied.map(([code, meaning]) => ({ code, meaning }));
}

/**
 * The attributes that tell that, and how, an instance was de-identified.
 *
 * @param seen  its pixels were cleaned, or are known to show nobody's name
 * @see PS3.3 C.7.1.1, C.12.1, PS3.15 E.1.1
 */
export function deidentificationMarks(options: DeidentificationOptions, seen: boolean): DicomJson {
  return {
    '00120062': { vr: 'CS', Value: ['YES'] },
    '00120063': { vr: 'LO', Value: ['HealthVision, PS3.15 E.2 Basic Profile 2026c', ...methodCodes(options).slice(1).map(({ meaning }) => meaning.slice(0, 64))] },
    '00120064': {
      vr: 'SQ',
      Value: methodCodes(options).map(({ code, meaning }) => ({
        '00080100': { vr: 'SH', Value: [code] }, '00080102': { vr: 'SH', Value: ['DCM'] }, '00080104': { vr: 'LO', Value: [meaning] },
      })),
    },
    '00280303': { vr: 'CS', Value: [options.longitudinal === 'shift' ? 'MODIFIED' : 'REMOVED'] },
    ...(seen && options.cleanPixelData ? { '00280301': { vr: 'CS', Value: ['NO'] } } : {}),
  };
}
