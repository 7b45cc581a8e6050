import { z } from 'zod';
import { baseFaults, baseShape, filePath, sentence } from './base.js';
import { mrPreparationSchema, mrSequence } from './mr-preparation.js';
import { tumourReportFaults, tumourReportSchema } from './tumour-report.js';
import { axesCode, axesMm, volumeInput, windowFaults, windowFields } from './window-fields.js';

const channel = z.int().min(0);
/** 0 is background. */
const value = z.int().min(1).max(255);
const valueOfChannel = z.strictObject({ channel, value });

/** One segmentation network over sliding windows, as in MONAI's brats_mri_segmentation. */
export const slidingWindowSegmentationSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('brain-tumour-segmentation'),
    recipe: z.literal('sliding-window-segmentation'),
    network: z.strictObject({
      path: filePath,
      input: volumeInput,
      /** Logits `[n, channels, …]` of the window's size; without a name, the first output. */
      output: z.strictObject({ name: sentence.optional(), channels: z.int().min(1) }),
    }),
    /** How the series become the channels' grid. */
    preparation: mrPreparationSchema.prefault({}),
    /** Which sequence each channel of the input is. */
    channels: z.array(mrSequence).min(1),
    preprocessing: z.strictObject({
      axes: axesCode,
      /** Along the tensor's axes; without it the volume is not resampled. */
      spacingMm: axesMm.optional(),
      /** (v − mean) / standard deviation for each channel: over voxels ≠ 0, which alone are changed, or over all. */
      normalisation: z.enum(['z-score-nonzero', 'z-score', 'none']),
      /** Windows lie over the least block that holds every voxel ≠ 0 of any channel, and around it is background; without it, over everything. */
      crop: z.literal('nonzero').optional(),
    }),
    window: windowFields,
    /** What becomes of the blended logits. */
    postprocessing: z.discriminatedUnion('activation', [
      /** Channels of their own; the first in the list that reaches the threshold gives the voxel its value. */
      z.strictObject({ activation: z.enum(['sigmoid', 'none']), threshold: z.number(), values: z.array(valueOfChannel).min(1) }),
      /** The largest channel gives the value; one that is not listed is background. */
      z.strictObject({ activation: z.literal('softmax'), values: z.array(valueOfChannel).min(1) }),
    ]),
    report: tumourReportSchema,
  })
  .superRefine((manifest, context) => {
    const fault = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }); };
    const { network, channels, postprocessing } = manifest;
    baseFaults(manifest, [{ path: network.path, at: ['network', 'path'] }], fault);
    windowFaults(manifest, fault);
    tumourReportFaults(manifest, fault);
    if (channels.length !== network.input.shape[1]) fault(['channels'], `must have ${network.input.shape[1]} names, one for each channel of the input`);
    for (const [i, name] of channels.entries()) if (channels.indexOf(name) !== i) fault(['channels', i], 'is named twice');
    for (const [i, entry] of postprocessing.values.entries()) {
      if (entry.channel >= network.output.channels) fault(['postprocessing', 'values', i, 'channel'], `the output has ${network.output.channels} channels`);
      if (postprocessing.values.findIndex((other) => other.channel === entry.channel) !== i) fault(['postprocessing', 'values', i, 'channel'], 'is named twice');
    }
    if (postprocessing.activation === 'sigmoid' && !(postprocessing.threshold > 0 && postprocessing.threshold < 1)) fault(['postprocessing', 'threshold'], 'must lie between 0 and 1');
  });

export type SlidingWindowSegmentationManifest = z.output<typeof slidingWindowSegmentationSchema>;
