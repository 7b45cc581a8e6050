import { z } from 'zod';
import { baseFaults, baseShape } from './base.js';

/** One segmentation network over sliding windows. */
export const slidingWindowSegmentationSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('brain-tumour-segmentation'),
    recipe: z.literal('sliding-window-segmentation'),
  })
  .superRefine((manifest, context) => {
    baseFaults(manifest, [], (path, message) => { context.addIssue({ code: 'custom', path, message }); });
  });

export type SlidingWindowSegmentationManifest = z.output<typeof slidingWindowSegmentationSchema>;
