import { z } from 'zod';
import type { Fault } from './base.js';

export const TUMOUR_REGIONS = ['whole-tumour', 'tumour-core', 'enhancing-tumour'] as const;
export type TumourRegion = (typeof TUMOUR_REGIONS)[number];

/** How a label map of a brain tumour becomes a result; shared by the recipes that segment. */
export const tumourReportSchema = z
  .strictObject({
    /** A segment is the union of its values; `label` is the index of the label that names and codes it. */
    segments: z.array(z.strictObject({ number: z.int().min(1), label: z.int().min(0), region: z.enum(TUMOUR_REGIONS), values: z.array(z.int().min(1).max(255)).min(1) })).min(1),
    /** Connected parts of the whole tumour below this are dropped. */
    minComponentMl: z.number().min(0),
    connectivity: z.union([z.literal(6), z.literal(18), z.literal(26)]),
  })
  .meta({ id: 'TumourReport' });

export type TumourReport = z.output<typeof tumourReportSchema>;

/** What the fields of a report and the manifest's labels must agree on. */
export function tumourReportFaults({ report: { segments }, labels }: { report: TumourReport; labels: readonly { index: number }[] }, fault: Fault): void {
  if (!segments.some(({ region }) => region === 'whole-tumour')) fault(['report', 'segments'], 'must have a whole tumour');
  for (const [i, { number, label, region }] of segments.entries()) {
    if (segments.findIndex((other) => other.number === number) !== i) fault(['report', 'segments', i, 'number'], 'is taken by another segment');
    if (segments.findIndex((other) => other.region === region) !== i) fault(['report', 'segments', i, 'region'], 'is taken by another segment');
    if (!labels.some(({ index }) => index === label)) fault(['report', 'segments', i, 'label'], 'is the index of no label');
  }
}
