import { z } from 'zod';
import { baseFaults, baseShape, filePath, sentence, type Fault } from './base.js';
import { noduleFindingsSchema } from './nodule-findings.js';

const count = z.int().min(1);
/** A number when the network takes one size only, a name when it takes any. */
const free = z.union([count, z.string().min(1)]);
const type = z.enum(['float32', 'float16']).default('float32');

/** Candidates by 2.5-D segmentation, then a 3-D classifier. */
export const segmentThenClassifySchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('lung-nodule-detection'),
    recipe: z.literal('segment-then-classify'),
    networks: z.strictObject({
      segmentation: z.strictObject({
        path: filePath,
        /** Batch, adjacent slices, rows, columns. */
        input: z.strictObject({ name: sentence, shape: z.tuple([free, count, free, free]), type }),
        /** Probability of the centre slice. */
        output: z.strictObject({ name: sentence, shape: z.tuple([free, z.literal(1), free, free]) }),
        /** Rows and columns must be multiples of it where the shape leaves them free. */
        multipleOf: count.default(16),
      }),
      classification: z.strictObject({
        path: filePath,
        /** Batch, channel, slices, rows, columns. */
        input: z.strictObject({ name: sentence, shape: z.tuple([free, z.literal(1), count, count, count]), type }),
        /** One number for each class; the label's `index` is the class of nodules. */
        output: z.strictObject({ name: sentence, shape: z.tuple([free, count]) }),
        activation: z.enum(['none', 'sigmoid', 'softmax']).default('none'),
      }),
    }),
    preprocessing: z.strictObject({
      /** Hounsfield units are clipped to this range, then become (value − offset) / scale. Beyond the image is the lower end. */
      clipHu: z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high, 'the first must be below the second'),
      offset: z.number().default(0),
      scale: z.number().positive().default(1),
    }),
    candidates: z.strictObject({
      /** Probabilities above it are part of a candidate. */
      threshold: z.number().min(0).max(1),
      /** Binary erosion in 3-D, as often as this. */
      erosions: z.int().min(0).max(3).default(1),
      connectivity: z.literal(6).default(6),
      /** Added to the clipped HU to weight the centre of mass. */
      weightOffsetHu: z.number(),
      /** The largest candidates are classified, no more than this many. */
      max: count.default(20_000),
    }),
    findings: noduleFindingsSchema,
  })
  .superRefine((manifest, context) => {
    const fault: Fault = (path, message) => { context.addIssue({ code: 'custom', path, message }); };
    const { segmentation, classification } = manifest.networks;
    baseFaults(manifest, [{ path: segmentation.path, at: ['networks', 'segmentation', 'path'] }, { path: classification.path, at: ['networks', 'classification', 'path'] }], fault);
    if (segmentation.input.shape[1] % 2 === 0) fault(['networks', 'segmentation', 'input', 'shape', 1], 'must be odd: the slice in the middle is segmented');
    for (const axis of [2, 3] as const) {
      if (typeof segmentation.input.shape[axis] === 'number' && segmentation.output.shape[axis] !== segmentation.input.shape[axis]) fault(['networks', 'segmentation', 'output', 'shape', axis], 'is not that of the input');
    }
    if (manifest.labels.length !== 1) fault(['labels'], 'must have one label, the nodule');
    for (const [i, { index }] of manifest.labels.entries()) {
      if (index >= classification.output.shape[1]) fault(['labels', i, 'index'], `the output has ${classification.output.shape[1]} numbers`);
    }
    if (manifest.candidates.weightOffsetHu + manifest.preprocessing.clipHu[0] < 0) fault(['candidates', 'weightOffsetHu'], 'leaves negative weights');
  });

export type SegmentThenClassifyManifest = z.output<typeof segmentThenClassifySchema>;
