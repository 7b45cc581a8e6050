import { describe, expect, it } from 'vitest';
import { chestCt, type Ball } from '../../../../test/support/chest-ct.js';
import { noduleFindingsSchema } from '../../model/manifests/nodule-findings.js';
import type { Detection } from '../../recipes/recipe.js';
import type { Finding } from '../../report/finding.js';
import { indexToLps, lpsToIndex } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import { conclude, type FramedVolume } from './postprocess.js';

const options = noduleFindingsSchema.parse({});
const tools = { findings: options, label: { code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } }, seriesInstanceUid: '2.25.1' };
/** Fine voxels around a ball in nothing but lung. */
const fine = { size: [96, 96, 64] as Vector3, spacing: [0.8, 0.8, 1.25] as Vector3, onlyLung: {} };
const withoutLungs = { ...tools, findings: noduleFindingsSchema.parse({ lungMask: { enabled: false } }) };

const ball = (centre: Vector3, radiusMm: number, hu = 40): Ball => ({ centre, radiusMm, hu });

function detectionAt(ct: FramedVolume, centre: Vector3, score = 0.9, halfMm = 4): Detection {
  const at = lpsToIndex(ct, centre);
  const half: Vector3 = [halfMm / Math.abs(ct.affine[0][0]), halfMm / Math.abs(ct.affine[1][1]), halfMm / Math.abs(ct.affine[2][2])];
  return { centre: at, box: [[at[0] - half[0], at[1] - half[1], at[2] - half[2]], [at[0] + half[0], at[1] + half[1], at[2] + half[2]]], score };
}

const value = (finding: Omit<Finding, 'id'> | undefined, name: string): number => finding?.measurements.find((one) => one.name === name)?.value ?? NaN;
const attribute = (finding: Omit<Finding, 'id'> | undefined, name: string): string | undefined => finding?.attributes?.find((one) => one.name === name)?.value;

describe('what becomes of a detection', () => {
  it.each([[4, 'solid'], [7, 'solid'], [10, 'solid']])('is a nodule with its size: radius %d mm', (radiusMm) => {
    const centre: Vector3 = [3.3, -1.2, 2.1];
    const ct = chestCt({ ...fine, balls: [ball(centre, radiusMm)] });
    const { findings: [found], segments, segmentation } = conclude(ct, { detections: [detectionAt(ct, centre, 0.9, radiusMm)], details: {} }, withoutLungs);
    expect(Math.abs(value(found, 'longAxis') - 2 * radiusMm)).toBeLessThan(0.8);
    expect(Math.abs(value(found, 'shortAxis') - 2 * radiusMm)).toBeLessThan(0.8);
    expect(Math.abs(value(found, 'diameter') - 2 * radiusMm)).toBeLessThan(0.6);
    const volume = (4 / 3) * Math.PI * radiusMm ** 3;
    expect(Math.abs(value(found, 'volume') - volume) / volume).toBeLessThan(0.07);
    // The segment is what its slices show; the finding's volume reaches between them.
    expect(segments[0]?.volumeMl).toBeCloseTo(((segmentation?.labels.filter((label) => label === 1).length ?? 0) * 0.8 * 0.8 * 1.25) / 1000, 3);
    expect(Math.abs((segments[0]?.volumeMl ?? 0) * 1000 - volume) / volume).toBeLessThan(0.07);
    expect(attribute(found, 'attenuation')).toBe('solid');
    const [x = NaN, y = NaN, z = NaN] = found?.location?.center ?? [];
    expect(Math.hypot(x - centre[0], y - centre[1], z - centre[2])).toBeLessThan(0.3);
  });

  it('keeps its volume however thick the slices are', () => {
    const volumes = [0.8, 1.25, 2.5].map((sliceMm) => {
      const ct = chestCt({ ...fine, spacing: [0.7, 0.7, sliceMm], balls: [ball([0.2, 0.4, 0.3], 6.5)] });
      return value(conclude(ct, { detections: [detectionAt(ct, [0.2, 0.4, 0.3], 0.9, 6.5)], details: {} }, withoutLungs).findings[0], 'volume');
    });
    const truth = (4 / 3) * Math.PI * 6.5 ** 3;
    for (const volume of volumes) expect(Math.abs(volume - truth) / truth).toBeLessThan(0.05);
  });

  it('loses the vessel that it hangs on', () => {
    const ct = chestCt({ ...fine, onlyLung: { vesselMm: 1.5 }, balls: [ball([0, 0, 0], 6)] });
    const { findings: [found] } = conclude(ct, { detections: [detectionAt(ct, [0, 0, 0], 0.9, 6)], details: {} }, withoutLungs);
    expect(value(found, 'longAxis')).toBeGreaterThan(11);
    expect(value(found, 'longAxis')).toBeLessThan(15);
  });

  it('is of the kind that its density makes it', () => {
    const kinds = (balls: Ball[]): Omit<Finding, 'id'> | undefined => {
      const ct = chestCt({ ...fine, balls });
      return conclude(ct, { detections: [detectionAt(ct, [0, 0, 0], 0.9, 8)], details: {} }, withoutLungs).findings[0];
    };
    expect(attribute(kinds([ball([0, 0, 0], 8, 40)]), 'attenuation')).toBe('solid');
    const glass = kinds([ball([0, 0, 0], 8, -550)]);
    expect([attribute(glass, 'attenuation'), attribute(glass, 'lungRads')]).toEqual(['ground-glass', '2']);
    expect(Math.abs(value(glass, 'diameter') - 16)).toBeLessThan(1.2);
    expect(Math.abs(value(glass, 'meanAttenuation') + 550)).toBeLessThan(40);
    const mixed = kinds([ball([0, 0, 0], 9, -500), ball([0, 0, 0], 3.5, 40)]);
    expect([attribute(mixed, 'attenuation'), attribute(mixed, 'lungRads')]).toEqual(['part-solid', '4A']);
    expect(Math.abs(value(mixed, 'solidDiameter') - 7)).toBeLessThan(1);
    expect(Math.abs(value(mixed, 'diameter') - 18)).toBeLessThan(1.2);
  });

  it('is dropped outside of the lungs, kept at the pleura, and told apart by side and height', () => {
    const pleura: Vector3 = [-127, 0, 0];
    const places: [Vector3, number][] = [[[-75, 0, 75], 0.99], [[75, 0, 0], 0.9], [[75, 20, -75], 0.8], [pleura, 0.7]];
    const ct = chestCt({ balls: places.map(([centre]) => ball(centre, 8)) });
    const outside: Vector3[] = [[0, 0, 0], [-140, 0, 0], [0, 105, 0]];
    const detections = [...places.map(([centre, score]) => detectionAt(ct, centre, score, 8)), ...outside.map((centre) => detectionAt(ct, centre, 0.6))];
    const { findings, details, summary } = conclude(ct, { detections, details: { candidates: 12, positive: 7 } }, tools);
    expect(findings.map((found) => `${attribute(found, 'side') ?? ''} ${attribute(found, 'zone') ?? ''}`)).toEqual(['right upper', 'left middle', 'left lower', 'right middle']);
    expect(details).toMatchObject({ candidates: 12, positive: 7, outsideLungs: 3, merged: 0 });
    expect(summary.text).toMatch(/^4 nodules, largest 1\d(\.\d)? mm \((right|left) (upper|middle|lower)\)$/);
    expect(findings.map(({ score }) => score)).toEqual([0.99, 0.9, 0.8, 0.7]);
  });

  it('becomes one with others of the same nodule', () => {
    const ct = chestCt({ balls: [ball([-75, 0, 0], 10), ball([75, 0, 0], 10)] });
    const detections = [detectionAt(ct, [-75, 0, 0], 0.7), detectionAt(ct, [-72, 3, 0], 0.9), detectionAt(ct, [-80, 0, 2], 0.8), detectionAt(ct, [75, 0, 0], 0.6)];
    const { findings, details, segmentation, keyImage } = conclude(ct, { detections, details: {} }, tools);
    expect(findings.map(({ score }) => score)).toEqual([0.9, 0.6]);
    expect(details).toMatchObject({ merged: 2 });
    expect(segmentation?.members).toEqual([{ segment: 1, values: [1] }, { segment: 2, values: [2] }]);
    expect(keyImage?.sopInstanceUid).toBe(findings[0]?.location?.sopInstanceUid);
  });

  it('is kept where no lung is found, and says so', () => {
    const ct = chestCt({ ...fine, balls: [ball([0, 0, 0], 5)] });
    const { findings, details } = conclude(ct, { detections: [detectionAt(ct, [0, 0, 0])], details: {} }, tools);
    expect(findings.length).toBe(1);
    expect(details).toMatchObject({ lungs: 'not found', outsideLungs: 0 });
    expect(attribute(findings[0], 'side')).toBeUndefined();
  });

  it('is nothing when there is nothing', () => {
    const ct = chestCt();
    const { findings, segmentation, summary, details, keyImage } = conclude(ct, { detections: [], details: {} }, tools);
    expect([findings, segmentation, summary]).toEqual([[], null, { text: 'No nodule found', critical: false }]);
    expect(details).toMatchObject({ lungRads: '1' });
    expect(keyImage).toEqual({ sopInstanceUid: '2.25.1048', frame: 1 });
  });

  it('is critical when it is large', () => {
    const conclusion = (radiusMm: number): boolean => {
      const ct = chestCt({ balls: [ball([75, 0, 0], radiusMm)] });
      return conclude(ct, { detections: [detectionAt(ct, [75, 0, 0], 0.9, radiusMm)], details: {} }, tools).summary.critical;
    };
    expect([conclusion(5), conclusion(12)]).toEqual([false, true]);
  });

  it('lies in its box, at its slice', () => {
    const ct = chestCt({ balls: [ball([75, 10, 20], 10)] });
    const { findings: [found] } = conclude(ct, { detections: [detectionAt(ct, [75, 10, 20], 0.9, 10)], details: {} }, tools);
    const [low = [], high = []] = found?.location?.box ?? [];
    for (const [axis, middle] of [75, 10, 20].entries()) {
      expect(Math.abs((low[axis] ?? NaN) - (middle - 10))).toBeLessThan(2.6);
      expect(Math.abs((high[axis] ?? NaN) - (middle + 10))).toBeLessThan(2.6);
    }
    const slice = Number(found?.location?.sopInstanceUid.split('.').at(-1)) - 1000;
    expect(Math.abs(indexToLps(ct.affine, [0, 0, slice])[2] - 20)).toBeLessThan(4);
    expect(found?.location?.frameOfReferenceUid).toBe('2.25.7');
  });
});
