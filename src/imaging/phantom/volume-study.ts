import type { Fields } from '../report/data-set.js';
import { ageString } from '../dicom/wrap-image.js';
import { newDicomUid } from '../../kernel/uid.js';
import { volumeSeries, type PhantomVolume } from './volume-series.js';

export interface PhantomPatient {
  patientId: string;
  /** `Family^Given`. */
  patientName: string;
  ageYears: number;
  /** `YYYYMMDD`. */
  studyDate: string;
  studyDescription: string;
}

export interface VolumeStudy {
  studyInstanceUid: string;
  objects: readonly { sopInstanceUid: string; seriesInstanceUid: string; bytes: Uint8Array }[];
}

/** A study of CT or MR series on one frame of reference. @param series  with what a scanner says of each */
export function volumeStudy(modality: 'CT' | 'MR', { patientId, patientName, ageYears, studyDate, studyDescription }: PhantomPatient, series: readonly { volume: PhantomVolume; fields: Fields }[]): VolumeStudy {
  const [studyInstanceUid, frameOfReferenceUid] = [newDicomUid(), newDicomUid()];
  const common: Fields = {
    PatientName: { Alphabetic: patientName }, PatientID: patientId, PatientBirthDate: '', PatientSex: 'O', PatientAge: ageString(ageYears), StudyInstanceUID: studyInstanceUid, StudyDate: studyDate, StudyTime: '', StudyID: '',
    AccessionNumber: '', ReferringPhysicianName: '', StudyDescription: studyDescription, ...(modality === 'MR' && MR_FIELDS), ...(modality === 'CT' && CT_FIELDS),
  };
  const objects = series.flatMap(({ volume, fields }, index) => {
    const seriesInstanceUid = newDicomUid();
    return volumeSeries(volume, { modality, seriesInstanceUid, frameOfReferenceUid, seriesNumber: index + 1, fields: { ...common, ...fields } }).map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, seriesInstanceUid, bytes }));
  });
  return { studyInstanceUid, objects };
}

const CT_FIELDS: Fields = { BodyPartExamined: 'CHEST', SeriesDescription: 'Digital phantom', ConvolutionKernel: 'STANDARD', KVP: 120 };
const MR_FIELDS: Fields = { BodyPartExamined: 'BRAIN', SequenceVariant: 'NONE', ScanOptions: '', MRAcquisitionType: '2D', EchoTrainLength: 1 };
