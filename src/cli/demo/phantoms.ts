import { chestXray, type ChestXray } from '../../imaging/phantom/chest-xray.js';
import { phantomDicom } from '../../imaging/phantom/phantom-dicom.js';
import { newDicomUid } from '../../kernel/uid.js';

export interface DemoImage {
  file: string;
  truth: string;
  studyInstanceUid: string;
  bytes: Uint8Array;
}

const SIZE = 640;

/** A healthy child, made up. */
export function healthyImage(): DemoImage {
  return demoImage('phantom-healthy.dcm', 'no opacity', 'PHANTOM-1', chestXray({ seed: 7, size: SIZE }));
}

/** One with pneumonia of a lobe, and the same picture as another patient's, to upload by hand. */
export function illImages(): [image: DemoImage, another: DemoImage] {
  const ill = chestXray({ seed: 8, size: SIZE, consolidation: { side: 'right', zone: 'lower', radiusMm: 38, density: 1 } });
  return [demoImage('phantom-pneumonia.dcm', 'opacity right lower', 'PHANTOM-2', ill), demoImage('phantom-to-upload.dcm', 'opacity right lower', 'PHANTOM-3', ill)];
}

function demoImage(file: string, truth: string, patientId: string, xray: ChestXray): DemoImage {
  const studyInstanceUid = newDicomUid();
  const bytes = phantomDicom(xray, {
    studyInstanceUid, seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid(), patientId, studyDate: new Date().toISOString().slice(0, 10).replaceAll('-', ''),
    studyDescription: `Digital phantom, ${truth}`,
  });
  return { file, truth, studyInstanceUid, bytes };
}
