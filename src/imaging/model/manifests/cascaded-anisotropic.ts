import { z } from 'zod';
import { baseFaults, baseShape } from './base.js';

/** Nine networks: three regions, three views. @see Wang et al. 2017 */
export const cascadedAnisotropicSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('brain-tumour-segmentation'),
    recipe: z.literal('cascaded-anisotropic'),
  })
  .superRefine((manifest, context) => {
    baseFaults(manifest, [], (path, message) => { context.addIssue({ code: 'custom', path, message }); });
  });

export type CascadedAnisotropicManifest = z.output<typeof cascadedAnisotropicSchema>;
