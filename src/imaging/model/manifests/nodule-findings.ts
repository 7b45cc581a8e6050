import { z } from 'zod';

const mm = z.number().positive();
const hu = z.number();

/**
 * What becomes of a detector's nodules, whatever the recipe. The defaults are for chest CT in Hounsfield units;
 * where they come from is said at each number.
 */
export const noduleFindingsSchema = z
  .strictObject({
    lungMask: z
      .strictObject({
        enabled: z.boolean().default(true),
        /** Below it is air or lung. Hu, Hoffman, Reinhardt 2001 choose a threshold for each scan; it lies near −400 HU. */
        thresholdHu: hu.default(-400),
        /** Air above it is in the bowel or around the patient, not in a lung, unless it is as dense as this on average. */
        airHu: hu.default(-960),
        /** The mask is made on voxels of about this size. */
        voxelMm: mm.default(2.5),
        /** Radius of the closing that brings vessels and nodules at the pleura back into the lung. */
        closingMm: mm.default(15),
        /** A detection counts as inside when it is no further than this from the mask. */
        marginMm: z.number().min(0).default(3),
        /** Parts smaller than this are not lungs. */
        minVolumeMl: mm.default(150),
      })
      .prefault({}),
    segmentation: z
      .strictObject({
        /** The border is half way between nodule and lung, between these two values. */
        borderHu: z.tuple([hu, hu]).default([-650, -400]),
        /** What lung counts as where the neighbourhood shows none. */
        lungHu: hu.default(-850),
        /** The nodule reaches no further beyond the detector's own mask or box. */
        growMm: mm.default(6),
        /** Radius that is looked at where a detector gives neither mask nor box. */
        radiusMm: mm.default(15),
        /** Opening that takes vessels off, as part of the nodule's own radius. */
        openingFraction: z.number().min(0).max(0.95).default(0.5),
        /** Largest radius of that opening. */
        maxOpeningMm: z.number().min(0).default(3),
      })
      .prefault({}),
    /** Detections of which one lies inside of another's nodule, or whose centres are no further apart than this, are one. */
    mergeMm: z.number().min(0).default(3),
    /** Nodules with a smaller mean diameter are not reported. 3 mm: below it Fleischner 2017 speaks of micronodules. */
    minDiameterMm: z.number().min(0).default(3),
    solidity: z
      .strictObject({
        /** Denser voxels are solid. Lee et al. 2018 (PLOS ONE 13:e0205490) compare thresholds; −300 HU is in common use. */
        solidHu: hu.default(-300),
        /** Border of ground glass. */
        groundGlassHu: hu.default(-650),
        /** A solid part with a smaller mean diameter is a vessel or noise, and the nodule ground glass. */
        minSolidMm: mm.default(3),
        /** At least this part is solid: solid. */
        solidFrom: z.number().min(0).max(1).default(0.6),
        /** A solid nodule whose radius grows by more than this when ground glass is counted in has a halo: part-solid. */
        haloMm: mm.default(2),
      })
      .prefault({}),
  })
  .prefault({})
  .meta({ id: 'NoduleFindings', description: 'From detections to findings' });

export type NoduleFindings = z.output<typeof noduleFindingsSchema>;
