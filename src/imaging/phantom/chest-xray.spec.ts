import { describe, expect, it } from 'vitest';
import { chestXray, type ChestXray } from './chest-xray.js';
import { integrate, project, type Beam } from './projector.js';
import { addStrand } from './strands.js';

const size = 256;

function meanAround(xray: ChestXray, column: number, row: number, reach = 5): number {
  let sum = 0;
  let count = 0;
  for (let y = row - reach; y <= row + reach; y++) for (let x = column - reach; x <= column + reach; x++, count++) sum += xray.pixels[y * xray.size + x] ?? NaN;
  return sum / count;
}

describe('the chest phantom', () => {
  const healthy = chestXray({ seed: 3, size });

  it('gives the same picture for the same seed and another for another', () => {
    expect(chestXray({ seed: 3, size }).pixels).toEqual(healthy.pixels);
    expect(chestXray({ seed: 4, size }).pixels).not.toEqual(healthy.pixels);
  });

  it('shows lungs darker than the heart and the open beam darkest', () => {
    const lung = meanAround(healthy, Math.round(0.27 * size), Math.round(0.4 * size));
    const heart = meanAround(healthy, Math.round(0.6 * size), Math.round(0.6 * size));
    expect(lung).toBeLessThan(0.75 * heart);
    expect(meanAround(healthy, 8, 8)).toBeLessThan(0.3 * lung);
    expect(Math.max(...healthy.pixels)).toBeLessThanOrEqual(4095);
  });

  it.each([{ side: 'right', zone: 'lower' }, { side: 'left', zone: 'upper' }] as const)('brightens the $side $zone zone where the truth says, and nothing on the other side', ({ side, zone }) => {
    const ill = chestXray({ seed: 3, size, consolidation: { side, zone, radiusMm: 20, density: 0.9 } });
    const opacity = ill.truth.opacities[0];
    if (!opacity) throw new Error('no opacity in the truth');
    const column = opacity.box.left + Math.round(opacity.box.width / 2);
    const row = opacity.box.top + Math.round(opacity.box.height / 2);
    expect(side === 'right' ? column < size / 2 : column > size / 2).toBe(true);
    expect(meanAround(ill, column, row)).toBeGreaterThan(1.15 * meanAround(healthy, column, row));
    const mirrored = size - 1 - column;
    expect(Math.abs(meanAround(ill, mirrored, row) / meanAround(healthy, mirrored, row) - 1)).toBeLessThan(0.05);
  });
});

describe('the projection', () => {
  const beam: Beam = { size: 65, pitchMm: 2, distanceMm: 1e6, detectorMm: 50, centreMm: 0 };
  const middle = 32 * 65 + 32;

  it('integrates the chord of a ball', () => {
    const { integral } = integrate(beam, [{ centre: [0, 0, 0], semiAxes: [20, 20, 20], attenuation: 0.02 }], []);
    expect(integral[middle]).toBeCloseTo(0.8, 4);
    // 12 mm off the centre the chord is 2·√(20² − 12²) = 32 mm.
    expect(integral[middle + 6]).toBeCloseTo(0.64, 3);
    expect(integral[middle + 11]).toBe(0);
  });

  it('lets the solid that comes first displace the later one', () => {
    const air = { centre: [0, 0, 0], semiAxes: [10, 10, 10], attenuation: 0 } as const;
    const { integral, tracked } = integrate(beam, [air, { centre: [0, 5, 0], semiAxes: [20, 20, 20], attenuation: 0.02 }], [air]);
    expect(integral[middle]).toBeCloseTo(0.4, 4);
    expect(tracked[middle]).toBeCloseTo(20, 3);
  });

  it('cuts a solid at a plane', () => {
    const { integral } = integrate(beam, [{ centre: [0, 0, 0], semiAxes: [20, 20, Infinity], zMin: 10, attenuation: 0.02 }], []);
    expect(integral[middle]).toBe(0);
    expect(integral[(32 - 6) * 65 + 32]).toBeCloseTo(0.8, 4);
  });

  it('draws a tube as thick as a cylinder along its middle', () => {
    const fine: Beam = { size: 101, pitchMm: 0.5, distanceMm: 1e6, detectorMm: 50, centreMm: 0 };
    const map = new Float32Array(101 * 101);
    addStrand(map, fine, [{ at: [-20, 0, 0], radiusMm: 3 }, { at: [20, 0, 0], radiusMm: 3 }], 0.1);
    expect(map[50 * 101 + 50]).toBeCloseTo(0.6, 1);
    expect(map[(50 + 8) * 101 + 50]).toBe(0);
  });

  it('magnifies what lies far from the detector', () => {
    const near: Beam = { ...beam, distanceMm: 1000 };
    expect(project(near, [0, -50, 0]).magnification).toBeCloseTo(1000 / 900, 6);
  });
});
