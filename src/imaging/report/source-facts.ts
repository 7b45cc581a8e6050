import { number, numbers, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';

/** Where images come from and what they are like, free of PHI: for the figures of models by station and scanner. */
export interface SourceFacts {
  station: string | null;
  /** Manufacturer and model. */
  scanner: string | null;
  /** Numbers by their names. */
  input: Record<string, number>;
}

const LONGEST = 64;
const NUMBERS = { sliceThicknessMm: 'SliceThickness', tubeVoltageKv: 'KVP', exposureMas: 'Exposure', repetitionTimeMs: 'RepetitionTime', echoTimeMs: 'EchoTime', fieldStrengthT: 'MagneticFieldStrength', rows: 'Rows', columns: 'Columns', bitsStored: 'BitsStored' } as const;

/** @param attributes  of the first image that was read; @param frames  how many were */
export function sourceFacts(attributes: DicomJson, frames: number): SourceFacts {
  const [spacing] = [numbers(attributes, 'PixelSpacing'), numbers(attributes, 'ImagerPixelSpacing')].flatMap(([row]) => row ?? []);
  const read = Object.entries(NUMBERS).flatMap(([name, keyword]) => { const value = number(attributes, keyword); return value === undefined ? [] : [[name, value] as const]; });
  return {
    station: short([text(attributes, 'StationName')]),
    scanner: short([text(attributes, 'Manufacturer'), text(attributes, 'ManufacturerModelName')]),
    input: { frames, ...Object.fromEntries(read), ...(spacing !== undefined && { pixelSpacingMm: spacing }) },
  };
}

function short(parts: readonly (string | undefined)[]): string | null {
  const whole = parts.map((part) => part?.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim() ?? '').filter((part) => part !== '').join(' ').slice(0, LONGEST);
  return whole === '' ? null : whole;
}
