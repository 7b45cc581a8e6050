import { z } from 'zod';
import { baseFaults, baseShape } from './base.js';

/** A one-stage 3-D detector. */
export const retinanet3dSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('lung-nodule-detection'),
    recipe: z.literal('retinanet-3d'),
  })
  .superRefine((manifest, context) => {
    baseFaults(manifest, [], (path, message) => { context.addIssue({ code: 'custom', path, message }); });
  });

export type Retinanet3dManifest = z.output<typeof retinanet3dSchema>;
