import { z } from 'zod';

export const TUMOUR_REGIONS = ['whole-tumour', 'tumour-core', 'enhancing-tumour'] as const;
export type TumourRegion = (typeof TUMOUR_REGIONS)[number];

/** How a label map of a brain tumour becomes a result; shared by the recipes that segment. */
export const tumourReportSchema = z
  .strictObject({
    /** `number` is the segment's number and the `index` of the label that names and codes it; a segment is the union of its values. */
    segments: z.array(z.strictObject({ number: z.int().min(1), region: z.enum(TUMOUR_REGIONS), values: z.array(z.int().min(1).max(255)).min(1) })).min(1),
    /** Connected parts of the whole tumour below this are dropped. */
    minComponentMl: z.number().min(0),
    connectivity: z.union([z.literal(6), z.literal(18), z.literal(26)]),
  })
  .refine(({ segments }) => segments.some(({ region }) => region === 'whole-tumour'), { path: ['segments'], message: 'must have a whole tumour' })
  .refine(({ segments }) => new Set(segments.map(({ number }) => number)).size === segments.length, { path: ['segments'], message: 'must have numbers of their own' })
  .meta({ id: 'TumourReport' });

export type TumourReport = z.output<typeof tumourReportSchema>;
