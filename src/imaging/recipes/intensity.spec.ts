import { describe, expect, it } from 'vitest';
import { intensityScale } from './intensity.js';

describe('intensityScale', () => {
  it.each([
    { clipHu: [-1000, 1000] as const, offset: -1000, scale: 2000 },
    { clipHu: [-1000.5, 399.25] as const, offset: 3, scale: -0.7 },
    { clipHu: [-50_000, 50_000] as const, offset: 0, scale: 3 },
  ])('gives whole numbers what it gives fractions: clipped and scaled ($clipHu)', (intensity) => {
    const { clipHu: [low, high], offset, scale } = intensity;
    const voxels = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);
    const expected = Float32Array.from(voxels, (hu) => (Math.min(high, Math.max(low, hu)) - offset) / scale);
    for (const given of [voxels, Float32Array.from(voxels)]) {
      const into = new Float32Array(voxels.length);
      intensityScale(intensity).apply(given, 0, into, 0, voxels.length);
      expect(into).toEqual(expected);
    }
  });

  it('writes to its place only', () => {
    const into = new Float32Array(5).fill(7);
    const { apply, outside } = intensityScale({ clipHu: [-10, 10], offset: 0, scale: 10 });
    apply(Int16Array.of(0, 5, 20, -20), 1, into, 2, 2);
    expect([...into, outside]).toEqual([7, 7, 0.5, 1, 7, -1]);
  });
});
