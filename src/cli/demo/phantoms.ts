import { brainMr, tumourMask, type PhantomGrid, type PhantomTumour } from '../../imaging/phantom/brain-mr.js';
import { chestXray, type ChestXray } from '../../imaging/phantom/chest-xray.js';
import { chestWithNodules, type PhantomNodule } from '../../imaging/phantom/nodules-ct.js';
import { phantomDicom } from '../../imaging/phantom/phantom-dicom.js';
import { phantomGrid } from '../../imaging/phantom/volume-series.js';
import { volumeStudy, type PhantomPatient, type VolumeStudy } from '../../imaging/phantom/volume-study.js';
import { newDicomUid } from '../../kernel/uid.js';
import type { DemoTruth, TrueNodule, TrueRegion } from './truth.js';

export interface DemoImage {
  file: string;
  bytes: Uint8Array;
}

/** A made-up study, and what is in it. */
export interface DemoPhantom {
  /** Names its pictures. */
  name: string;
  studyInstanceUid: string;
  images: readonly DemoImage[];
  truth: DemoTruth;
}

const SIZE = 640;
const TUMOUR: PhantomTumour = { centre: [32, -24, 12], oedemaMm: 24, rimMm: 15, coreMm: 9 };
const MR_GRID: PhantomGrid = { size: [96, 112, 40], spacing: [1.5, 1.5, 3] };
const ADULT_YEARS = 60;

/** A healthy child, made up. */
export function healthyXray(): DemoPhantom {
  return xrayPhantom('phantom-healthy', 'no opacity', 'PHANTOM-1', chestXray({ seed: 7, size: SIZE }));
}

/** One with pneumonia of a lobe, and the same picture as another patient's, to upload by hand. */
export function illXrays(): [phantom: DemoPhantom, another: DemoPhantom] {
  const ill = chestXray({ seed: 8, size: SIZE, consolidation: { side: 'right', zone: 'lower', radiusMm: 38, density: 1 } });
  return [xrayPhantom('phantom-pneumonia', 'opacity right lower', 'PHANTOM-2', ill), xrayPhantom('phantom-to-upload', 'opacity right lower', 'PHANTOM-3', ill)];
}

/** An adult's chest in CT with four nodules of known size and place. */
export function chestCtPhantom(seed = 4): DemoPhantom {
  const { volume, nodules } = chestWithNodules(seed);
  const study = volumeStudy('CT', patient('PHANTOM-4', 'Phantom^Nodules', `Digital phantom, ${String(nodules.length)} nodules`), [{ volume, fields: {} }]);
  return volumePhantom('phantom-chest-ct', study, { kind: 'nodules', nodules: nodules.map(trueNodule) });
}

/** An adult's brain in MR with a tumour of known extent, in four sequences. */
export function brainMrPhantom(seed = 5): DemoPhantom {
  const study = volumeStudy('MR', patient('PHANTOM-5', 'Phantom^Brain', 'Digital phantom, tumour in the left hemisphere'), brainMr(seed, TUMOUR, MR_GRID));
  const regions = (['whole-tumour', 'tumour-core', 'enhancing-tumour'] as const).map((region): TrueRegion => ({ region, mask: tumourMask(region, TUMOUR, MR_GRID) }));
  return volumePhantom('phantom-brain-mr', study, { kind: 'regions', grid: phantomGrid(MR_GRID), regions });
}

function trueNodule({ centre, diameterMm, side }: PhantomNodule): TrueNodule {
  return { centre, diameterMm, text: `nodule ${diameterMm.toFixed(1)} mm, ${side}` };
}

function patient(patientId: string, patientName: string, studyDescription: string): PhantomPatient {
  return { patientId, patientName, ageYears: ADULT_YEARS, studyDate: today(), studyDescription };
}

function volumePhantom(name: string, { studyInstanceUid, objects }: VolumeStudy, truth: DemoTruth): DemoPhantom {
  return { name, studyInstanceUid, images: objects.map(({ bytes }, index) => ({ file: `${name}/${String(index + 1).padStart(4, '0')}.dcm`, bytes })), truth };
}

function xrayPhantom(name: string, text: string, patientId: string, xray: ChestXray): DemoPhantom {
  const studyInstanceUid = newDicomUid();
  const bytes = phantomDicom(xray, {
    studyInstanceUid, seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid(), patientId, studyDate: today(), studyDescription: `Digital phantom, ${text}`,
  });
  return { name, studyInstanceUid, images: [{ file: `${name}.dcm`, bytes }], truth: { kind: 'words', text } };
}

function today(): string {
  return new Date().toISOString().slice(0, 10).replaceAll('-', '');
}
