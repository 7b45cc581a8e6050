import dcmjs from 'dcmjs';
import { AppError } from '../../kernel/errors.js';
import { isDicomUid } from '../../kernel/uid.js';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from './implementation.js';
import { EXPLICIT_LITTLE } from './transfer-syntax.js';

/** Samples `[row, column, channel]`. */
export interface RasterPixels {
  pixels: Uint8Array | Uint16Array;
  width: number;
  height: number;
  channels: 1 | 3;
  bits: 8 | 16;
}

export interface WrapFields {
  modality: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  patientId?: string;
  patientName?: string;
  /** Years; fractions below two are kept as months. */
  patientAge?: number;
  patientSex?: 'M' | 'F' | 'O';
  /** `YYYYMMDD`. */
  patientBirthDate?: string;
  bodyPart?: string;
  viewPosition?: string;
  /** `YYYYMMDD`. */
  studyDate?: string;
  /** `HHMMSS`. */
  studyTime?: string;
  studyId?: string;
  accessionNumber?: string;
  studyDescription?: string;
  seriesDescription?: string;
  seriesNumber?: number;
  instanceNumber?: number;
  /** Row and column distance at the detector, in mm. */
  imagerPixelSpacing?: readonly [number, number];
}

const COMPUTED_RADIOGRAPHY = '1.2.840.10008.5.1.4.1.1.1';
const DIGITAL_X_RAY_FOR_PRESENTATION = '1.2.840.10008.5.1.4.1.1.1.1';
const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';

/**
 * A picture as a DICOM file: CR, DX for presentation or secondary capture, by `fields.modality`. Grey for CR and DX (colour
 * becomes luminance, ITU-R BT.601), otherwise colour stays. Explicit little endian, text in UTF-8.
 *
 * DX wants Imager Pixel Spacing and Patient Orientation, which a picture does not know: they are left out rather than invented.
 *
 * @returns a Part 10 file
 * @throws AppError `invalid-image-fields`, `invalid-image`
 * @see PS3.3 A.2, A.26, A.8.1; PS3.10 §7
 */
export function wrapImage(image: RasterPixels, fields: WrapFields): Uint8Array {
  checkImage(image);
  checkFields(fields);
  const sopClassUid = sopClassOf(fields.modality);
  const grey = image.channels === 1 || sopClassUid !== SECONDARY_CAPTURE;
  const pixels = grey && image.channels === 3 ? luminance(image.pixels) : image.pixels;
  const dataset = {
    ...patientAndStudy(fields),
    ...seriesAndImage(fields, sopClassUid),
    ...(sopClassUid === DIGITAL_X_RAY_FOR_PRESENTATION ? digitalXRay(fields, image.bits) : {}),
    ...imagePixel(image, grey),
    PixelData: [littleEndianBytes(pixels)],
    _vrMap: { PixelData: image.bits === 16 ? 'OW' : 'OB' },
  };
  const { DicomMetaDictionary, DicomDict } = dcmjs.data;
  const file = new DicomDict(DicomMetaDictionary.denaturalizeDataset({
    FileMetaInformationVersion: new Uint8Array([0, 1]).buffer,
    MediaStorageSOPClassUID: sopClassUid,
    MediaStorageSOPInstanceUID: fields.sopInstanceUid,
    TransferSyntaxUID: EXPLICIT_LITTLE,
    ImplementationClassUID: IMPLEMENTATION_CLASS_UID,
    ImplementationVersionName: IMPLEMENTATION_VERSION_NAME,
    _vrMap: { FileMetaInformationVersion: 'OB' },
  }));
  file.dict = DicomMetaDictionary.denaturalizeDataset(dataset);
  return new Uint8Array(file.write());
}

function patientAndStudy(fields: WrapFields): Record<string, unknown> {
  return {
    SpecificCharacterSet: 'ISO_IR 192',
    PatientName: fields.patientName ?? '',
    PatientID: fields.patientId ?? '',
    PatientBirthDate: fields.patientBirthDate ?? '',
    PatientSex: fields.patientSex ?? '',
    ...(fields.patientAge === undefined ? {} : { PatientAge: ageString(fields.patientAge) }),
    StudyInstanceUID: fields.studyInstanceUid,
    StudyDate: fields.studyDate ?? '',
    StudyTime: fields.studyTime ?? '',
    StudyID: fields.studyId ?? '',
    AccessionNumber: fields.accessionNumber ?? '',
    ReferringPhysicianName: '',
    ...(fields.studyDescription === undefined ? {} : { StudyDescription: fields.studyDescription }),
  };
}

function seriesAndImage(fields: WrapFields, sopClassUid: string): Record<string, unknown> {
  const projection = sopClassUid !== SECONDARY_CAPTURE;
  return {
    SOPClassUID: sopClassUid,
    SOPInstanceUID: fields.sopInstanceUid,
    SeriesInstanceUID: fields.seriesInstanceUid,
    Modality: fields.modality,
    SeriesNumber: String(fields.seriesNumber ?? 1),
    ...(fields.seriesDescription === undefined ? {} : { SeriesDescription: fields.seriesDescription }),
    Manufacturer: '',
    ConversionType: 'WSD',
    // What the picture was before it came here is not known.
    ImageType: ['DERIVED', projection ? 'PRIMARY' : 'SECONDARY'],
    InstanceNumber: String(fields.instanceNumber ?? 1),
    // Which side is where in a picture is not known, so no orientation and no laterality is claimed.
    ...(sopClassUid === DIGITAL_X_RAY_FOR_PRESENTATION ? {} : { PatientOrientation: '' }),
    ...(projection ? { BodyPartExamined: fields.bodyPart ?? '', ViewPosition: fields.viewPosition ?? '' } : {}),
    ...(projection && fields.bodyPart === undefined ? { Laterality: '' } : {}),
    ...(!projection && fields.bodyPart !== undefined ? { BodyPartExamined: fields.bodyPart } : {}),
    ...(!projection && fields.viewPosition !== undefined ? { ViewPosition: fields.viewPosition } : {}),
    ...(fields.imagerPixelSpacing === undefined ? {} : { ImagerPixelSpacing: fields.imagerPixelSpacing.map(String) }),
  };
}

/** @see PS3.3 C.8.11 */
function digitalXRay(fields: WrapFields, bits: 8 | 16): Record<string, unknown> {
  return {
    PresentationIntentType: 'FOR PRESENTATION',
    ImageLaterality: 'U',
    AnatomicRegionSequence: anatomicRegion(fields.bodyPart),
    PositionerType: '',
    ...(bits === 8 ? { WindowCenter: '128', WindowWidth: '256' } : {}),
    PixelIntensityRelationship: 'LOG',
    PixelIntensityRelationshipSign: -1,
    RescaleIntercept: '0',
    RescaleSlope: '1',
    RescaleType: 'US',
    PresentationLUTShape: 'IDENTITY',
    LossyImageCompression: '00',
    BurnedInAnnotation: 'NO',
    DetectorType: '',
    AcquisitionContextSequence: [],
    ImageType: ['DERIVED', 'PRIMARY', ''],
    ...(fields.viewPosition === undefined ? {} : { ViewPosition: fields.viewPosition }),
  };
}

/** @see PS3.16 Annex L */
const ANATOMIC_REGIONS: Record<string, readonly [code: string, meaning: string]> = {
  CHEST: ['51185008', 'Thorax'],
  ABDOMEN: ['818981001', 'Abdomen'],
  HEAD: ['69536005', 'Head'],
  SKULL: ['89546000', 'Skull'],
};

function anatomicRegion(bodyPart: string | undefined): Record<string, string>[] {
  const region = ANATOMIC_REGIONS[bodyPart ?? ''];
  return region === undefined ? [] : [{ CodeValue: region[0], CodingSchemeDesignator: 'SCT', CodeMeaning: region[1] }];
}

function imagePixel({ width, height, bits }: RasterPixels, grey: boolean): Record<string, unknown> {
  return {
    SamplesPerPixel: grey ? 1 : 3,
    PhotometricInterpretation: grey ? 'MONOCHROME2' : 'RGB',
    ...(grey ? {} : { PlanarConfiguration: 0 }),
    Rows: height,
    Columns: width,
    BitsAllocated: bits,
    BitsStored: bits,
    HighBit: bits - 1,
    PixelRepresentation: 0,
    // The whole range, so that viewers show 16-bit pictures as they are; 8-bit ones are shown so without it.
    ...(grey && bits === 16 ? { WindowCenter: '32768', WindowWidth: '65536' } : {}),
  };
}

function sopClassOf(modality: string): string {
  if (modality === 'CR') return COMPUTED_RADIOGRAPHY;
  return modality === 'DX' ? DIGITAL_X_RAY_FOR_PRESENTATION : SECONDARY_CAPTURE;
}

/** `050Y`; below two years whole months, which is what paediatrics count. @see PS3.5 §6.2, AS */
export function ageString(years: number): string {
  const inMonths = years < 2 && !(Number.isInteger(years) && years > 0);
  return inMonths ? `${String(Math.floor(years * 12 + 1e-6)).padStart(3, '0')}M` : `${String(Math.floor(years)).padStart(3, '0')}Y`;
}

function luminance(rgb: Uint8Array | Uint16Array): Uint8Array | Uint16Array {
  const count = rgb.length / 3;
  const out = rgb instanceof Uint8Array ? new Uint8Array(count) : new Uint16Array(count);
  for (let i = 0, from = 0; i < count; i++, from += 3) {
    out[i] = Math.round(0.299 * (rgb[from] ?? 0) + 0.587 * (rgb[from + 1] ?? 0) + 0.114 * (rgb[from + 2] ?? 0));
  }
  return out;
}

/** Even in length, as every DICOM value. */
function littleEndianBytes(pixels: Uint8Array | Uint16Array): ArrayBuffer {
  if (pixels instanceof Uint8Array) {
    const out = new Uint8Array(pixels.length + (pixels.length & 1));
    out.set(pixels);
    return out.buffer;
  }
  const view = new DataView(new ArrayBuffer(pixels.length * 2));
  for (const [i, value] of pixels.entries()) view.setUint16(i * 2, value, true);
  return view.buffer;
}

function checkImage({ pixels, width, height, channels, bits }: RasterPixels): void {
  const valid = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0 && pixels.length === width * height * channels;
  if (!valid || (bits === 16) !== pixels instanceof Uint16Array) throw new AppError('invalid-image', { detail: 'The samples do not fit the size' });
  if (width > 65_535 || height > 65_535) throw new AppError('image-too-large', { detail: 'DICOM holds at most 65,535 rows and columns' });
}

const TEXT_LIMITS = {
  patientId: 64, patientName: 64, bodyPart: 16, viewPosition: 16, studyId: 16, accessionNumber: 16, studyDescription: 64, seriesDescription: 64, modality: 16,
} as const satisfies Partial<Record<keyof WrapFields, number>>;

function checkFields(fields: WrapFields): void {
  const wrong = (field: string): AppError => new AppError('invalid-image-fields', { detail: `${field} is not valid` });
  for (const uid of ['studyInstanceUid', 'seriesInstanceUid', 'sopInstanceUid'] as const) if (!isDicomUid(fields[uid])) throw wrong(uid);
  for (const [field, limit] of Object.entries(TEXT_LIMITS)) {
    // Object.entries widens the keys.
    const value = fields[field as keyof typeof TEXT_LIMITS];
    // Control characters and the backslash would end or split the value.
     
    if (value !== undefined && (value.length > limit || /[\u0000-\u001f\\]/.test(value))) throw wrong(field);
  }
  for (const code of ['modality', 'bodyPart', 'viewPosition'] as const) {
    const value = fields[code];
    if (value !== undefined && !/^[A-Z0-9 _]*$/.test(value)) throw wrong(code);
  }
  if (fields.modality.trim() === '') throw wrong('modality');
  if (fields.patientAge !== undefined && !(fields.patientAge >= 0 && fields.patientAge <= 150)) throw wrong('patientAge');
  for (const date of ['studyDate', 'patientBirthDate'] as const) {
    const value = fields[date];
    if (value !== undefined && !/^\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/.test(value)) throw wrong(date);
  }
  if (fields.studyTime !== undefined && !/^([01]\d|2[0-3])[0-5]\d[0-5]\d$/.test(fields.studyTime)) throw wrong('studyTime');
}
