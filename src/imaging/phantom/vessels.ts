import type { Point, Solid } from './projector.js';
import type { Bead } from './strands.js';

/** The vessels of one lung: branches that fork and thin out from the hilum until they leave the lung. */
export function vesselTree(hilum: Point, lung: Pick<Solid, 'centre' | 'semiAxes' | 'zMin'>, side: -1 | 1, uniform: () => number): Bead[][] {
  const branches: Bead[][] = [];
  const grow = (start: Point, direction: Point, radiusMm: number, generation: number): void => {
    const length = (9 + 9 * uniform()) * (0.7 + radiusMm / 5);
    const beads: Bead[] = [{ at: start, radiusMm }];
    let heading = direction;
    let place = start;
    for (let step = 1; step <= 4; step++) {
      heading = unit(heading.map((part) => part + 0.22 * (uniform() - 0.5)));
      place = [place[0] + (heading[0] * length) / 4, place[1] + (heading[1] * length) / 4, place[2] + (heading[2] * length) / 4];
      if (outside(lung, place)) break;
      beads.push({ at: place, radiusMm: radiusMm * (1 - 0.07 * step) });
    }
    if (beads.length > 1) branches.push(beads);
    if (beads.length < 5 || generation > 8) return;
    const thicker = 0.8 + 0.1 * uniform();
    for (const share of [thicker, 0.98 - thicker * 0.4]) {
      // Murray's law keeps the sum of the cubes: 0.85³ + 0.66³ ≈ 0.9.
      const radius = radiusMm * 0.72 * share * 1.22;
      if (radius > 0.24) grow(place, unit(heading.map((part) => part + 1.0 * (uniform() - 0.5))), radius, generation + 1);
    }
  };
  const spokes: Point[] = [
    [0.45, -0.15, 0.9], [0.75, 0.2, 0.62], [0.95, -0.3, 0.25], [0.95, 0.25, -0.12], [0.8, -0.35, -0.5], [0.62, 0.35, -0.75], [0.35, 0.1, -0.95], [0.28, 0.4, 0.85],
  ];
  for (const [x, y, z] of spokes) {
    grow(hilum, unit([side * x + 0.15 * (uniform() - 0.5), y + 0.3 * (uniform() - 0.5), z + 0.15 * (uniform() - 0.5)]), (z < 0 ? 2.9 : 2.2) * (0.85 + 0.3 * uniform()), 0);
  }
  return branches;
}

function outside({ centre, semiAxes, zMin = -Infinity }: Pick<Solid, 'centre' | 'semiAxes' | 'zMin'>, [x, y, z]: Point): boolean {
  const reach = ((x - centre[0]) / semiAxes[0]) ** 2 + ((y - centre[1]) / semiAxes[1]) ** 2 + ((z - centre[2]) / semiAxes[2]) ** 2;
  return reach > 0.93 || z < zMin + 6;
}

function unit(vector: readonly number[]): Point {
  const [x = 0, y = 0, z = 0] = vector;
  const length = Math.hypot(x, y, z);
  return [x / length, y / length, z / length];
}
