import type { Fields } from '../report/data-set.js';
import type { Vector3 } from '../volume/volume.js';
import { uniformStream } from './random.js';
import { fillVolume, isInside, type PhantomVolume } from './volume-series.js';

export interface PhantomSequence {
  volume: PhantomVolume;
  /** What a scanner says of the weighting. */
  fields: Fields;
}

/** From the outside in: oedema, a rim that takes up contrast agent, a core that does not. Millimetres. */
export interface PhantomTumour {
  centre: Vector3;
  oedemaMm: number;
  rimMm: number;
  coreMm: number;
}

export type PhantomGrid = Pick<PhantomVolume, 'size' | 'spacing'>;

/** The regions that a reader tells apart, each within the one before. */
export type TumourRegion = 'whole-tumour' | 'tumour-core' | 'enhancing-tumour';

type Tissue = 'brain' | 'ventricle' | 'oedema' | 'rim' | 'core';

const BRAIN = { centre: [0, 0, 0], radii: [66, 80, 55] } as const;
const VENTRICLES = [{ centre: [-12, 5, 8], radii: [6, 26, 9] }, { centre: [12, 5, 8], radii: [6, 26, 9] }] as const;
/** A tumour in the left hemisphere. */
const TUMOUR: PhantomTumour = { centre: [35, -20, 15], oedemaMm: 22, rimMm: 13, coreMm: 9 };
const COARSE: PhantomGrid = { size: [56, 68, 30], spacing: [2.5, 2.5, 4] };
const NOISE = 0.06;

/** How bright tissues are in each weighting, arbitrary units. */
const SEQUENCES: readonly { brightness: Readonly<Record<Tissue, number>>; fields: Fields }[] = [
  { brightness: { brain: 520, ventricle: 180, oedema: 400, rim: 430, core: 320 }, fields: { SeriesDescription: 'T1 without contrast', ScanningSequence: 'SE', RepetitionTime: 600, EchoTime: 12 } },
  { brightness: { brain: 520, ventricle: 180, oedema: 400, rim: 980, core: 330 }, fields: { SeriesDescription: 'T1 with contrast', ScanningSequence: 'SE', RepetitionTime: 600, EchoTime: 12, ContrastBolusAgent: 'GADOLINIUM' } },
  { brightness: { brain: 400, ventricle: 1000, oedema: 760, rim: 620, core: 820 }, fields: { SeriesDescription: 'T2', ScanningSequence: 'SE', RepetitionTime: 4500, EchoTime: 100 } },
  { brightness: { brain: 430, ventricle: 110, oedema: 900, rim: 700, core: 600 }, fields: { SeriesDescription: 'FLAIR', ScanningSequence: ['SE', 'IR'], RepetitionTime: 9000, EchoTime: 120, InversionTime: 2500 } },
];

/** A made-up brain with a tumour that displaces nothing in MR: T1 without and with contrast agent, T2 and FLAIR on one grid, with nothing around the brain. Slices of 4 mm where nothing else is said. */
export function brainMr(seed = 1, tumour = TUMOUR, { size, spacing } = COARSE): PhantomSequence[] {
  return SEQUENCES.map(({ brightness, fields }, index) => {
    const uniform = uniformStream(seed + index);
    return {
      fields,
      volume: fillVolume(size, spacing, (x, y, z) => {
        const tissue = tissueAt(x, y, z, tumour);
        return tissue === undefined ? 0 : brightness[tissue] * (1 + NOISE * (uniform() - 0.5));
      }),
    };
  });
}

const REGIONS: Readonly<Record<TumourRegion, ReadonlySet<Tissue | undefined>>> = {
  'whole-tumour': new Set<Tissue>(['oedema', 'rim', 'core']), 'tumour-core': new Set<Tissue>(['rim', 'core']), 'enhancing-tumour': new Set<Tissue>(['rim']),
};

/** Where a region of the tumour lies: 1 inside, `[z, y, x]`. */
export function tumourMask(region: TumourRegion, tumour: PhantomTumour, { size, spacing }: PhantomGrid): Uint8Array {
  return Uint8Array.from(fillVolume(size, spacing, (x, y, z) => (isInTumour(region, x, y, z, tumour) ? 1 : 0)).voxels);
}

/** Whether a point lies in a region of the tumour. LPS millimetres. */
export function isInTumour(region: TumourRegion, x: number, y: number, z: number, tumour = TUMOUR): boolean {
  return REGIONS[region].has(tissueAt(x, y, z, tumour));
}

function tissueAt(x: number, y: number, z: number, { centre, oedemaMm, rimMm, coreMm }: PhantomTumour): Tissue | undefined {
  if (!isInside(x, y, z, BRAIN.centre, BRAIN.radii)) return undefined;
  const away = Math.hypot(x - centre[0], y - centre[1], z - centre[2]);
  if (away <= coreMm) return 'core';
  if (away <= rimMm) return 'rim';
  if (away <= oedemaMm) return 'oedema';
  return VENTRICLES.some((ventricle) => isInside(x, y, z, ventricle.centre, ventricle.radii)) ? 'ventricle' : 'brain';
}
