import { z } from 'zod';
import { baseFaults, baseShape, filePath, sentence } from './base.js';
import { mrPreparationSchema, mrSequence } from './mr-preparation.js';
import { tumourReportFaults, tumourReportSchema } from './tumour-report.js';

const side = z.int().min(1);
const labelValue = z.int().min(1).max(255);

/** A network that looks from one side. `leastPlane`: the smallest plane that it gets; larger blocks get larger planes. */
const network = z.strictObject({ path: filePath, leastPlane: z.strictObject({ height: side, width: side }) });
const views = z.strictObject({ axial: network, sagittal: network, coronal: network });

/**
 * Nine networks: three regions, each looked for in the box of the one before, three views. All sizes are voxels of the grid that the
 * networks were trained on.
 *
 * @see Wang et al. 2017, "Automatic Brain Tumor Segmentation using Cascaded Anisotropic Convolutional Neural Networks"
 */
export const cascadedAnisotropicSchema = z
  .strictObject({
    ...baseShape,
    analysis: z.literal('brain-tumour-segmentation'),
    recipe: z.literal('cascaded-anisotropic'),
    networks: z.strictObject({ wholeTumour: views, tumourCore: views, enhancingTumour: views }),
    input: z.strictObject({ name: sentence, channels: z.array(mrSequence).min(1).max(4), type: z.enum(['float32', 'float16']) }),
    output: z.strictObject({ name: sentence, classes: z.literal(2) }),
    window: z.strictObject({
      inputSlices: side,
      /** From the middle of the input slices. */
      outputSlices: side,
      stride: side,
      /** The networks normalise over the batch: always this many windows, noise in place of missing ones. */
      batch: side,
      planeMultiple: side,
    }),
    /** Of the noise that stands for what is not there: outside of the brain, outside of the box, in place of missing windows. */
    noiseSeed: z.int().min(0).max(1_000_000),
    /** How the series become the channels' grid, on which all voxels below are counted. */
    preparation: mrPreparationSchema.prefault({}),
    preprocessing: z.strictObject({
      /** The sequence whose voxels above zero are the brain. */
      brainChannel: mrSequence,
      cropMargin: z.int().min(0),
    }),
    postprocessing: z.strictObject({
      connectivity: z.union([z.literal(6), z.literal(18), z.literal(26)]),
      boxMargin: z.int().min(0),
      /** A component of the whole tumour has more voxels than this, unless it is the only one. */
      wholeTumourMinVoxels: z.int().min(0),
      /** The second component of the core stays when it has more than this part of the first. */
      secondComponentMinRatio: z.number().min(0).max(1),
      /** A component of the core stays when at least this part of it is whole tumour. */
      coreMinOverlap: z.number().min(0).max(1),
      /** An enhancing part with fewer voxels is none. */
      enhancingMinVoxels: z.int().min(0),
      /** Values in the label map. */
      values: z.strictObject({ oedema: labelValue, core: labelValue, enhancing: labelValue }),
    }),
    report: tumourReportSchema,
  })
  .superRefine((manifest, context) => {
    const fault = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }); };
    const paths = Object.entries(manifest.networks).flatMap(([region, of]) => Object.entries(of).map(([view, { path }]) => ({ path, at: ['networks', region, view, 'path'] })));
    baseFaults(manifest, paths, fault);
    tumourReportFaults(manifest, fault);
    const { inputSlices, outputSlices, stride, planeMultiple } = manifest.window;
    if (outputSlices > inputSlices) fault(['window', 'outputSlices'], `is more than the ${inputSlices} input slices`);
    if (stride > outputSlices) fault(['window', 'stride'], `leaves slices between windows of ${outputSlices} output slices`);
    for (const [region, of] of Object.entries(manifest.networks)) {
      for (const [view, { leastPlane }] of Object.entries(of)) {
        if (leastPlane.height % planeMultiple !== 0 || leastPlane.width % planeMultiple !== 0) fault(['networks', region, view, 'leastPlane'], `is not a multiple of ${planeMultiple}`);
      }
    }
    if (!manifest.input.channels.includes(manifest.preprocessing.brainChannel)) fault(['preprocessing', 'brainChannel'], 'is not one of the channels');
  });

export type CascadedAnisotropicManifest = z.output<typeof cascadedAnisotropicSchema>;
