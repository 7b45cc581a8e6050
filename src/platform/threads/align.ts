import { uniformStream } from '../../imaging/phantom/random.js';
import { assembleSeries } from '../../imaging/volume/assemble.js';
import { register, type RegistrationKind } from '../../imaging/volume/register/register.js';
import type { Affine, Volume } from '../../imaging/volume/volume.js';
import { nativeCodec } from './codecs.js';

/** Frames that make a volume, and the Part 10 objects that hold them. */
export interface SeriesSource {
  frames: readonly { sopInstanceUid: string; frame: number }[];
  instances: readonly { sopInstanceUid: string; bytes: Uint8Array }[];
}

export interface Alignment {
  /** A point of the current image, LPS millimetres → the same point of the prior one. */
  toPrior: Affine;
  /** Share of the current image that lies inside the prior one, 0–1. */
  overlap: number;
  /** Nats, before and after. */
  mutualInformation: { before: number; after: number };
}

/** Where the points that are looked at lie: the same ones for the same images. */
const SEED = 20_260_101;

/** Volumes of two times laid upon each other. For a thread: it takes seconds. */
export async function align(current: SeriesSource, prior: SeriesSource, kind: RegistrationKind): Promise<Alignment> {
  const { toMoving, overlap, mutualInformation } = register(await volumeOf(current), await volumeOf(prior), { kind, random: uniformStream(SEED) });
  return { toPrior: toMoving, overlap, mutualInformation };
}

async function volumeOf({ frames, instances }: SeriesSource): Promise<Volume> {
  return assembleSeries({ frames }, instances, nativeCodec);
}
