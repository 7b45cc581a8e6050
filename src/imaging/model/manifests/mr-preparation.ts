import { z } from 'zod';

/** The MR sequences that a model may read. */
export const mrSequence = z.enum(['flair', 't1', 't1c', 't2']);

/** How MR series become channels on one grid. */
export const mrPreparationSchema = z
  .strictObject({
    /** The series that the others are laid upon, and that the result is shown on. */
    reference: mrSequence.default('t1c'),
    /** Millimetres along columns, rows and slices after reorientation; `reference`: as the reference series has them. */
    spacingMm: z.union([z.literal('reference'), z.tuple([z.number().positive(), z.number().positive(), z.number().positive()])]).default([1, 1, 1]),
    /** Directions in which columns, rows and slices run. */
    orientation: z.string().regex(/^(?=.*[LR])(?=.*[AP])(?=.*[IS])[LRAPIS]{3}$/, 'must name three directions such as LPS').default('LPS'),
    interpolation: z.enum(['linear', 'cubic-b-spline', 'lanczos']).default('linear'),
    registration: z.enum(['rigid', 'affine', 'none']).default('rigid'),
    /** `auto`: unless the images come stripped. */
    brainExtraction: z.enum(['auto', 'always', 'never']).default('auto'),
    /** Smith's fractional intensity threshold: the greater, the smaller the brain. */
    brainFraction: z.number().min(0.1).max(0.9).default(0.6),
    biasField: z.enum(['none', 'n4']).default('none'),
  })
  .meta({ id: 'MrPreparation', description: 'How MR series become channels on one grid' });

export type MrPreparation = z.output<typeof mrPreparationSchema>;
