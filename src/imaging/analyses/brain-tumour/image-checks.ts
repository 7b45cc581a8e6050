import { voxelVolumeMl } from '../../volume/geometry.js';
import type { Volume } from '../../volume/volume.js';
import { notAnalysable, type NotAnalysable } from '../analysis.js';
import { ROLE_NAMES, type MrRole } from './sequences.js';

/** Images whose voxels agree like this are one image, written twice or scaled. Two contrasts of one head stay below 0.98. */
const SAME_IMAGE = 0.9999;
/** Millilitres of what is not zero in a stripped brain with its ventricles; heads have more. */
const BRAIN_ML = { min: 300, max: 2300 };
const MIN_ZERO_SHARE = 0.2;

export type MrVolumes = Readonly<Partial<Record<MrRole, Volume>>>;

export function entriesOf<T>(of: Readonly<Partial<Record<MrRole, T>>>): [MrRole, T][] {
  // Object.entries forgets the type of the keys.
  return Object.entries(of).filter((entry): entry is [MrRole, T] => entry[1] !== undefined);
}

/** Two sequences that are the same picture, or one that shows nothing: no choice of attributes can tell. */
export function contentFault(volumes: MrVolumes): NotAnalysable | undefined {
  const entries = entriesOf(volumes);
  for (const [role, { voxels }] of entries) {
    const first = voxels[0] ?? 0;
    if (voxels.every((value) => value === first)) return notAnalysable('low-image-quality', `${ROLE_NAMES[role]}: every voxel has the same value.`);
  }
  for (const [index, [a, one]] of entries.entries()) {
    for (const [b, other] of entries.slice(index + 1)) {
      if (isSameImage(one, other)) return notAnalysable('missing-sequence', `The series taken for ${ROLE_NAMES[a]} and for ${ROLE_NAMES[b]} hold the same image, so one of the sequences is not there.`);
    }
  }
  return undefined;
}

function isSameImage(a: Volume, b: Volume): boolean {
  if (a.size.some((n, axis) => n !== b.size[axis])) return false;
  const [x, y] = [a.voxels, b.voxels];
  let [n, sx, sy, sxx, syy, sxy] = [0, 0, 0, 0, 0, 0];
  for (let o = 0; o < x.length; o++) {
    const p = x[o] ?? 0;
    const q = y[o] ?? 0;
    // Background agrees in every pair of stripped images.
    if (p === 0 && q === 0) continue;
    n++;
    sx += p;
    sy += q;
    sxx += p * p;
    syy += q * q;
    sxy += p * q;
  }
  const spread = Math.sqrt(Math.max(0, n * sxx - sx * sx) * Math.max(0, n * syy - sy * sy));
  return spread > 0 && (n * sxy - sx * sy) / spread > SAME_IMAGE;
}

/** Whether all that is not brain was set to zero before. */
export function isStripped({ voxels, affine }: Volume): boolean {
  let zeros = 0;
  for (const value of voxels) if (value === 0) zeros++;
  const ml = (voxels.length - zeros) * voxelVolumeMl(affine);
  return zeros >= MIN_ZERO_SHARE * voxels.length && ml >= BRAIN_ML.min && ml <= BRAIN_ML.max;
}
