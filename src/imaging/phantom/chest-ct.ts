import { uniformStream } from './random.js';
import { fillVolume, isInside, type PhantomVolume } from './volume-series.js';

export const LUNGS = [{ centre: [-75, 0, 0], radii: [55, 75, 100] }, { centre: [75, 0, 0], radii: [55, 75, 100] }] as const;
const NODULE = { centre: [-70, 10, 15], radii: [5, 5, 5] } as const;
export const CHEST_HU = { air: -1000, lung: -850, tissue: 40 };
const NOISE_HU = 20;

/** A made-up chest of an adult in CT: a body of soft tissue, two lungs, and a solid nodule of 10 mm in the right one, which nobody is to be alarmed about. Slices of 2.5 mm. */
export function chestCt(seed = 1): PhantomVolume {
  const uniform = uniformStream(seed);
  return fillVolume([128, 100, 96], [2.5, 2.5, 2.5], (x, y, z) => (isInside(x, y, z, NODULE.centre, NODULE.radii) ? CHEST_HU.tissue : chestTissue(x, y, z)) + (uniform() - 0.5) * NOISE_HU);
}

/** Hounsfield units of a made-up chest with nothing in its lungs, at a point in LPS millimetres. */
export function chestTissue(x: number, y: number, z: number): number {
  if (LUNGS.some(({ centre, radii }) => isInside(x, y, z, centre, radii))) return CHEST_HU.lung;
  return (x / 150) ** 2 + (y / 110) ** 2 <= 1 ? CHEST_HU.tissue : CHEST_HU.air;
}
