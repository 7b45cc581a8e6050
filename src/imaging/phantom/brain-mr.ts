import type { Fields } from '../report/data-set.js';
import { uniformStream } from './random.js';
import { fillVolume, isInside, type PhantomVolume } from './volume-series.js';

export interface PhantomSequence {
  volume: PhantomVolume;
  /** What a scanner says of the weighting. */
  fields: Fields;
}

type Tissue = 'brain' | 'ventricle' | 'oedema' | 'rim' | 'core';

const BRAIN = { centre: [0, 0, 0], radii: [66, 80, 55] } as const;
const VENTRICLES = [{ centre: [-12, 5, 8], radii: [6, 26, 9] }, { centre: [12, 5, 8], radii: [6, 26, 9] }] as const;
/** A tumour in the left hemisphere: from the outside in. Millimetres. */
const TUMOUR = { centre: [35, -20, 15], oedemaMm: 22, rimMm: 13, coreMm: 9 } as const;
const NOISE = 0.06;

/** How bright tissues are in each weighting, arbitrary units. */
const SEQUENCES: readonly { brightness: Readonly<Record<Tissue, number>>; fields: Fields }[] = [
  { brightness: { brain: 520, ventricle: 180, oedema: 400, rim: 430, core: 320 }, fields: { SeriesDescription: 'T1 without contrast', ScanningSequence: 'SE', RepetitionTime: 600, EchoTime: 12 } },
  { brightness: { brain: 520, ventricle: 180, oedema: 400, rim: 980, core: 330 }, fields: { SeriesDescription: 'T1 with contrast', ScanningSequence: 'SE', RepetitionTime: 600, EchoTime: 12, ContrastBolusAgent: 'GADOLINIUM' } },
  { brightness: { brain: 400, ventricle: 1000, oedema: 760, rim: 620, core: 820 }, fields: { SeriesDescription: 'T2', ScanningSequence: 'SE', RepetitionTime: 4500, EchoTime: 100 } },
  { brightness: { brain: 430, ventricle: 110, oedema: 900, rim: 700, core: 600 }, fields: { SeriesDescription: 'FLAIR', ScanningSequence: ['SE', 'IR'], RepetitionTime: 9000, EchoTime: 120, InversionTime: 2500 } },
];

/** A made-up brain with a tumour that displaces nothing in MR: T1 without and with contrast agent, T2 and FLAIR on one grid, with nothing around the brain. Slices of 4 mm. */
export function brainMr(seed = 1): PhantomSequence[] {
  return SEQUENCES.map(({ brightness, fields }, index) => {
    const uniform = uniformStream(seed + index);
    return {
      fields,
      volume: fillVolume([56, 68, 30], [2.5, 2.5, 4], (x, y, z) => {
        const tissue = tissueAt(x, y, z);
        return tissue === undefined ? 0 : brightness[tissue] * (1 + NOISE * (uniform() - 0.5));
      }),
    };
  });
}

function tissueAt(x: number, y: number, z: number): Tissue | undefined {
  if (!isInside(x, y, z, BRAIN.centre, BRAIN.radii)) return undefined;
  const away = Math.hypot(x - TUMOUR.centre[0], y - TUMOUR.centre[1], z - TUMOUR.centre[2]);
  if (away <= TUMOUR.coreMm) return 'core';
  if (away <= TUMOUR.rimMm) return 'rim';
  if (away <= TUMOUR.oedemaMm) return 'oedema';
  return VENTRICLES.some(({ centre, radii }) => isInside(x, y, z, centre, radii)) ? 'ventricle' : 'brain';
}
