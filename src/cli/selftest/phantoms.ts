import { ANALYSIS_NAMES, type AnalysisName } from '../../imaging/model/manifest.js';
import { brainMr, type PhantomSequence } from '../../imaging/phantom/brain-mr.js';
import { chestCt } from '../../imaging/phantom/chest-ct.js';
import { chestXray } from '../../imaging/phantom/chest-xray.js';
import { phantomDicom } from '../../imaging/phantom/phantom-dicom.js';
import { volumeStudy } from '../../imaging/phantom/volume-study.js';
import { newDicomUid } from '../../kernel/uid.js';

/** Begins every Patient ID of a self-test: whoever meets one knows that there is no such patient. */
export const PATIENT_PREFIX = 'SELFTEST-';
const PATIENT_NAME = 'Selftest^Phantom';
const DESCRIPTION = 'HealthVision self-test, digital phantom';
const XRAY_SIDE = 384;

/** A study of a patient who does not exist. */
export interface PhantomStudy {
  studyInstanceUid: string;
  /** For people. */
  title: string;
  columns: number;
  rows: number;
  objects: readonly { sopInstanceUid: string; seriesInstanceUid: string; bytes: Uint8Array }[];
}

/** What a model says of the studies that it was made for; of other members nothing is wanted here. */
export interface Domain {
  modalities?: readonly string[] | undefined;
  viewPositions?: readonly string[] | undefined;
  ageYears?: { min: number; max: number } | undefined;
}

/** A phantom that a model may read: models with the same key may read the same one. */
export interface PhantomPlan {
  key: string;
  title: string;
  make: (patientId: string) => PhantomStudy;
}

/** @returns why there is none, as a sentence, where there is none */
export function phantomFor(analysis: string, domain: Domain): PhantomPlan | string {
  if (!isKnown(analysis)) return `This version makes no phantom for the analysis ${analysis}.`;
  const modality = MODALITIES[analysis].find((one) => domain.modalities?.includes(one) ?? true);
  if (modality === undefined) return `It reads ${(domain.modalities ?? []).join(', ')}; of that the self-test makes no phantom.`;
  const age = within(analysis === 'chest-xray-classification' ? 4 : 60, domain.ageYears);
  if (analysis !== 'chest-xray-classification') {
    const title = analysis === 'lung-nodule-detection' ? 'CT of the chest' : 'MR of the brain';
    return { key: `${analysis} ${String(age)}`, title, make: (patientId) => (analysis === 'lung-nodule-detection' ? ctStudy(title, patientId, age) : mrStudy(title, patientId, age)) };
  }
  const view = (['AP', 'PA'] as const).find((one) => domain.viewPositions?.includes(one) ?? true) ?? domain.viewPositions?.[0] ?? 'AP';
  const title = `${modality} of the chest`;
  return { key: `${analysis} ${modality} ${String(age)} ${view}`, title, make: (patientId) => xrayStudy(title, patientId, { modality, patientAge: age, viewPosition: view }) };
}

const MODALITIES: Readonly<Record<AnalysisName, readonly string[]>> = { 'chest-xray-classification': ['DX', 'CR'], 'lung-nodule-detection': ['CT'], 'brain-tumour-segmentation': ['MR'] };

function isKnown(analysis: string): analysis is AnalysisName {
  return (ANALYSIS_NAMES as readonly string[]).includes(analysis);
}

function within(years: number, range: Domain['ageYears']): number {
  return range === undefined ? years : Math.min(Math.max(years, range.min), range.max);
}

/** Without anything to find in it, so that nobody is alarmed. */
function xrayStudy(title: string, patientId: string, instead: { modality: string; patientAge: number; viewPosition: string }): PhantomStudy {
  const ids = { studyInstanceUid: newDicomUid(), seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid() };
  const bytes = phantomDicom(chestXray({ seed: 7, size: XRAY_SIDE }), { ...ids, patientId, studyDate: today(), studyDescription: DESCRIPTION }, { ...instead, patientName: PATIENT_NAME });
  return { studyInstanceUid: ids.studyInstanceUid, title, columns: XRAY_SIDE, rows: XRAY_SIDE, objects: [{ ...ids, bytes }] };
}

function ctStudy(title: string, patientId: string, age: number): PhantomStudy {
  return scan(title, 'CT', patientId, age, [{ volume: chestCt(), fields: {} }]);
}

function mrStudy(title: string, patientId: string, age: number): PhantomStudy {
  return scan(title, 'MR', patientId, age, brainMr());
}

function scan(title: string, modality: 'CT' | 'MR', patientId: string, ageYears: number, series: readonly PhantomSequence[]): PhantomStudy {
  const study = volumeStudy(modality, { patientId, patientName: PATIENT_NAME, ageYears, studyDate: today(), studyDescription: DESCRIPTION }, series);
  const [first] = series;
  return { ...study, title, columns: first?.volume.size[0] ?? 0, rows: first?.volume.size[1] ?? 0 };
}

function today(): string {
  return new Date().toISOString().slice(0, 10).replaceAll('-', '');
}
