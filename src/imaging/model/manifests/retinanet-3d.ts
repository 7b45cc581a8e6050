import { z } from 'zod';
import { baseFaults, baseShape, filePath, sentence } from './base.js';
import { noduleFindingsSchema } from './nodule-findings.js';
import { axesCode, axesMm, axesSteps, volumeInput, windowFaults, windowFields } from './window-fields.js';

const range = z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high, 'must rise');
const positive = z.number().positive();
const count = z.int().min(1);

/** A one-stage 3-D detector as MONAI's RetinaNet: raw heads, one pair of outputs for each level of the feature pyramid. */
export const retinanet3dSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('lung-nodule-detection'),
    recipe: z.literal('retinanet-3d'),
    network: z.strictObject({
      path: filePath,
      input: volumeInput,
      /** Without the background. All of them are reported as nodules. */
      classes: count,
      /**
       * Finest first. Logits `[n, anchors × classes, x, y, z]`, box codes `[n, anchors × 6, x, y, z]`.
       * Outputs without names are taken in the network's order: the logits of all levels, then the codes of all.
       */
      levels: z.array(z.strictObject({ classification: sentence.optional(), boxRegression: sentence.optional(), anchorScale: positive })).min(1),
    }),
    preprocessing: z.strictObject({
      axes: axesCode,
      /** Along the tensor's axes; the volume is resampled to it. */
      spacingMm: axesMm,
      /** Values `from` become `to`, linearly. */
      intensity: z.strictObject({ from: range, to: range, clip: z.boolean() }),
      /** The image is padded with 0 at its end to multiples of these. */
      divisibleBy: axesSteps,
    }),
    window: windowFields,
    /** A volume of fewer voxels than the window goes through the network at once. */
    wholeWhenSmaller: z.boolean().default(false),
    anchors: z.strictObject({ shapes: z.array(z.tuple([positive, positive, positive])).min(1) }),
    boxCoder: z.strictObject({ weights: z.tuple([positive, positive, positive, positive, positive, positive]), maxLogScale: z.number() }),
    postprocessing: z.strictObject({
      activation: z.enum(['sigmoid', 'none']),
      scoreThreshold: z.number().min(0).max(1),
      topPerLevel: count,
      nmsIou: z.number().min(0).max(1),
      maxDetections: count,
    }),
    findings: noduleFindingsSchema,
  })
  .superRefine((manifest, context) => {
    const fault = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }); };
    const { network, preprocessing, window, wholeWhenSmaller } = manifest;
    baseFaults(manifest, [{ path: network.path, at: ['network', 'path'] }], fault);
    windowFaults(manifest, fault);
    if (network.input.shape[1] !== 1) fault(['network', 'input', 'shape', 1], 'must be 1: the recipe feeds one CT');
    for (const key of ['size', 'reducedSize'] as const) {
      for (const [axis, divisor] of preprocessing.divisibleBy.entries()) if ((window[key]?.[axis] ?? 0) % divisor !== 0) fault(['window', key, axis], `is not a multiple of ${divisor}`);
    }
    if (wholeWhenSmaller && network.input.shape.slice(2).some((size) => typeof size === 'number')) fault(['wholeWhenSmaller'], 'needs an input of any size');
    const names = network.levels.flatMap(({ classification, boxRegression }) => [classification, boxRegression]);
    const named = names.some((name) => name !== undefined);
    for (const [i, { classification, boxRegression }] of network.levels.entries()) {
      for (const [n, [key, name]] of ([['classification', classification], ['boxRegression', boxRegression]] as const).entries()) {
        if (named && name === undefined) fault(['network', 'levels', i, key], 'must be named: other outputs are');
        if (name !== undefined && names.indexOf(name) !== 2 * i + n) fault(['network', 'levels', i, key], 'is named twice');
      }
    }
  });

export type Retinanet3dManifest = z.output<typeof retinanet3dSchema>;
