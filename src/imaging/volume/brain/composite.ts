import { median } from '../median.js';
import type { Volume } from '../volume.js';

/** T1 intensities of this many times the brain's begin to be fat; from the second on they are nothing else. */
const [FAT_FROM, FAT_TO] = [1.5, 2.3];
/** What the brain counts in a composite. */
const FULL = 1000;

/**
 * One image in which the brain is bright and all that surrounds it is dark, of images with one grid whose contrasts complete each other:
 * fat and marrow give themselves away on T1, muscle and bone on T2. On either alone a surface finds its way through thin bone.
 *
 * @param middle  offsets of voxels from the middle of the head, to tell how bright the brain is
 * @returns 0–1000
 */
export function brainComposite({ t1, t2 }: { t1: Volume; t2?: Volume }, middle: readonly number[]): Volume<Float32Array> {
  const brainOf = ({ voxels }: Volume): number => Math.max(1e-6, median(middle.map((o) => voxels[o] ?? 0)) ?? 0);
  const [brainT1, brainT2] = [brainOf(t1), t2 === undefined ? 1 : brainOf(t2)];
  const voxels = new Float32Array(t1.voxels.length);
  for (let o = 0; o < voxels.length; o++) {
    const onT1 = (t1.voxels[o] ?? 0) / brainT1;
    const onT2 = t2 === undefined ? 1 : (t2.voxels[o] ?? 0) / brainT2;
    const lean = Math.min(1, Math.max(0, (FAT_TO - onT1) / (FAT_TO - FAT_FROM)));
    voxels[o] = FULL * lean * Math.max(0, Math.min(1, onT1, onT2));
  }
  return { ...t1, voxels };
}
