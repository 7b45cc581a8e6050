import { z } from 'zod';
import { baseFaults, baseShape, dimension, sentence } from './base.js';

const output = z.strictObject({ name: sentence, shape: z.array(dimension) });

const calibration = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('none') }),
  /** Platt 1999: sigmoid(slope × logit + intercept). */
  z.strictObject({ method: z.literal('platt'), slope: z.number().positive(), intercept: z.number() }),
  /** Guo et al. 2017: logits divided by the temperature. */
  z.strictObject({ method: z.literal('temperature'), temperature: z.number().positive() }),
]);

/** One network that gives a number for each label of one image. */
export const imageClassifierSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('chest-xray-classification'),
    recipe: z.literal('image-classifier'),
    input: z.strictObject({
      name: sentence,
      shape: z.tuple([z.union([z.literal('batch'), z.literal(1)]), z.union([z.literal(1), z.literal(3)]), z.int().min(1), z.int().min(1)]),
      type: z.enum(['float32', 'float16']),
    }),
    outputs: z.strictObject({ logits: output.refine(({ shape }) => shape.length === 2, 'must have two dimensions'), activationMap: output.refine(({ shape }) => shape.length === 4, 'must have four dimensions').optional() }),
    preprocessing: z.strictObject({
      crop: z.enum(['centre-square', 'none']),
      resize: z.strictObject({ height: z.int().min(1), width: z.int().min(1), interpolation: z.enum(['area', 'bilinear']) }),
      scale: z.number().positive(),
      mean: z.array(z.number()).min(1),
      std: z.array(z.number().positive()).min(1),
    }),
    postprocessing: z.strictObject({ activation: z.enum(['sigmoid', 'softmax', 'none']), calibration }),
  })
  .superRefine((manifest, context) => {
    const fault = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }); };
    const [, channels, height, width] = manifest.input.shape;
    const { resize, mean, std } = manifest.preprocessing;
    if (resize.height !== height) fault(['preprocessing', 'resize', 'height'], `is not the input's height ${height}`);
    if (resize.width !== width) fault(['preprocessing', 'resize', 'width'], `is not the input's width ${width}`);
    for (const [key, list] of [['mean', mean], ['std', std]] as const) {
      if (list.length !== channels) fault(['preprocessing', key], `must have ${channels === 1 ? 'one number' : '3 numbers'}, one for each channel`);
    }
    const { activation, calibration: { method } } = manifest.postprocessing;
    if (method === 'platt' && activation !== 'sigmoid') fault(['postprocessing', 'calibration', 'method'], 'platt goes with the activation sigmoid only');
    if (method === 'temperature' && activation === 'none') fault(['postprocessing', 'calibration', 'method'], 'temperature needs logits, and the activation is none');
    const count = manifest.outputs.logits.shape[1];
    for (const [i, label] of manifest.labels.entries()) {
      if (typeof count === 'number' && label.index >= count) fault(['labels', i, 'index'], `the output has ${count} numbers`);
    }
    if (manifest.files.filter(({ path }) => path.endsWith('.onnx')).length !== 1) fault(['files'], 'must name exactly one .onnx file');
    baseFaults(manifest, [], fault);
  });

export type ImageClassifierManifest = z.output<typeof imageClassifierSchema>;
