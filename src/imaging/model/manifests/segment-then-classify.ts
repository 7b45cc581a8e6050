import { z } from 'zod';
import { baseFaults, baseShape } from './base.js';

/** Candidates by 2.5-D segmentation, then a 3-D classifier. */
export const segmentThenClassifySchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('lung-nodule-detection'),
    recipe: z.literal('segment-then-classify'),
  })
  .superRefine((manifest, context) => {
    baseFaults(manifest, [], (path, message) => { context.addIssue({ code: 'custom', path, message }); });
  });

export type SegmentThenClassifyManifest = z.output<typeof segmentThenClassifySchema>;
