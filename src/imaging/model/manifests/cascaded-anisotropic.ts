import { z } from 'zod';
import { tumourReportSchema } from './tumour-report.js';

const sentence = z.string().trim().min(1);
const side = z.int().min(1);
const labelValue = z.int().min(1).max(255);

/** A network that looks from one side. `leastPlane`: the smallest plane that it gets; larger blocks get larger planes. */
const network = z.strictObject({ path: sentence, leastPlane: z.strictObject({ height: side, width: side }) });

/** Where in the region before it a region is looked for. */
const region = z.strictObject({
  name: z.enum(['whole-tumour', 'tumour-core', 'enhancing-tumour']),
  networks: z.strictObject({ axial: network, sagittal: network, coronal: network }),
});

/**
 * The fields of the recipe `cascaded-anisotropic`. All sizes are voxels of the grid that the networks were trained on.
 *
 * @see Wang et al. 2017, "Automatic Brain Tumor Segmentation using Cascaded Anisotropic Convolutional Neural Networks"
 */
export const cascadedAnisotropicFields = {
  recipe: z.literal('cascaded-anisotropic'),
  /** Whole tumour, core in it, enhancing part in that. */
  cascade: z.tuple([region, region, region]),
  input: z.strictObject({ name: sentence, channels: z.array(z.enum(['flair', 't1', 't1c', 't2'])).min(1), type: z.enum(['float32', 'float16']) }),
  output: z.strictObject({ name: sentence, classes: z.literal(2) }),
  window: z.strictObject({
    inputSlices: side,
    outputSlices: side,
    stride: side,
    /** The networks use batch statistics: always this many windows, noise in place of missing ones. */
    batch: side,
    planeMultiple: side,
  }),
  preprocessing: z.strictObject({
    /** Directions in which columns, rows and slices run. */
    orientation: z.string().regex(/^(?=.*[LR])(?=.*[AP])(?=.*[IS])[LRAPIS]{3}$/, 'must name three directions such as LPS'),
    spacingMm: z.number().positive(),
    skullStripped: z.boolean(),
    /** The channel whose voxels that are not zero are the brain. */
    brainChannel: z.enum(['flair', 't1', 't1c', 't2']),
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
};

export const cascadedAnisotropicSchema = z.strictObject(cascadedAnisotropicFields);
/** What the recipe reads of a manifest. */
export type CascadedAnisotropicManifest = z.output<typeof cascadedAnisotropicSchema>;
