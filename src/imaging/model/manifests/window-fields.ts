import { z } from 'zod';
import { sentence, type Fault } from './base.js';

const steps = z.int().min(1);
/** One number for each axis of the tensor, in its order. */
export const axesSteps = z.tuple([steps, steps, steps]);
export const axesMm = z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]);

const axisSize = z.union([steps, sentence]);
/** Batch, channels and three axes; a name stands for an axis of any size. */
export const volumeInput = z.strictObject({
  /** Without it, the only input. */
  name: sentence.optional(),
  shape: z.tuple([z.union([z.literal('batch'), z.literal(1)]), steps, axisSize, axisSize, axisSize]),
  type: z.enum(['float32', 'float16']),
});

/** In which direction each axis of the tensor grows; one letter of each pair. */
export const axesCode = z.string().regex(/^(?=.*[LR])(?=.*[AP])(?=.*[IS])[LRAPIS]{3}$/, 'must name one direction of each pair R/L, A/P, S/I, such as RAS');

const common = {
  size: axesSteps,
  overlap: z.number().min(0).lt(1),
  /** Windows in one inference. */
  batch: steps.default(1),
  /** The window after a lack of memory, for networks whose result hardly depends on it; without it the size stays. */
  reducedSize: axesSteps.optional(),
};

/** MONAI's names for how overlapping windows are blended. */
export const windowFields = z.discriminatedUnion('blending', [
  z.strictObject({ ...common, blending: z.literal('constant') }),
  /** σ is sigmaScale × the window's size. */
  z.strictObject({ ...common, blending: z.literal('gaussian'), sigmaScale: z.number().positive() }),
]);

interface Windowed {
  network: { input: { shape: readonly (number | string)[] } };
  window: { size: readonly number[]; reducedSize?: readonly number[] | undefined };
}

/** Windows must have the size of an input that has one. */
export function windowFaults({ network: { input: { shape } }, window: { size, reducedSize } }: Windowed, fault: Fault): void {
  for (const [axis, declared] of shape.slice(2).entries()) {
    if (typeof declared !== 'number') continue;
    if (size[axis] !== declared) fault(['window', 'size', axis], `is not the input's size ${declared}`);
    if (reducedSize && reducedSize[axis] !== declared) fault(['window', 'reducedSize', axis], `is not the input's size ${declared}`);
  }
}
