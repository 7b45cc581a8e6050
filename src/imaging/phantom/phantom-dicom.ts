import { wrapImage, type WrapFields } from '../dicom/wrap-image.js';
import type { ChestXray } from './chest-xray.js';

export interface PhantomStudy {
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  patientId: string;
  /** `YYYYMMDD`. */
  studyDate: string;
  studyDescription: string;
}

/** The phantom as a DX object for presentation, of the patient `Phantom^Chest`. @param instead  what the object says otherwise */
export function phantomDicom(xray: ChestXray, study: PhantomStudy, instead: Partial<WrapFields> = {}): Uint8Array {
  // To the top of the 16 bits that the wrapped object declares.
  const pixels = xray.pixels.map((value) => value << (16 - xray.bitsStored));
  return wrapImage(
    { pixels, width: xray.size, height: xray.size, channels: 1, bits: 16 },
    {
      ...study,
      modality: 'DX', patientName: 'Phantom^Chest', patientAge: xray.truth.ageYears, patientSex: xray.truth.sex, bodyPart: 'CHEST',
      viewPosition: xray.truth.view, seriesDescription: 'Digital phantom', imagerPixelSpacing: [rounded(xray.pitchMm), rounded(xray.pitchMm)],
      ...instead,
    },
  );
}

/** A decimal string has room for 16 characters. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
