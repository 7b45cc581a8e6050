import type { Point, Solid } from './projector.js';
import { mix, type Bead } from './strands.js';

// Sizes of a four-year-old in millimetres. The origin lies in the middle of the chest; x to the patient's left, y to the back,
// z to the head. Attenuation in 1/mm at an effective 38 keV (70 kVp, 3 mm Al), NIST XCOM coefficients times density.
export const MU = { soft: 0.0275, fat: 0.0235, lung: 0.0074, air: 0, bone: 0.085, marrow: 0.044, vertebra: 0.05, lead: 2 } as const;

/** Centre of a thoracic vertebra, 1 to 12 (13 and more: lumbar). */
export function vertebra(number: number): Point {
  const z = 80 - 13.2 * (number - 1);
  return [0, 38 + 0.0011 * (60 * 60 - z * z), z];
}

const LUNG_FLOOR = -76;

/** Each lung with pleura: the cut at the bottom meets the diaphragm's dome in the costophrenic angle. */
export const LUNGS = {
  right: { centre: [-45, 2, -50], semiAxes: [39, 56, 124], tilt: -0.1, zMin: LUNG_FLOOR, attenuation: MU.lung },
  left: { centre: [45, 2, -52], semiAxes: [39, 56, 125], tilt: 0.1, zMin: LUNG_FLOOR, attenuation: MU.lung },
} as const satisfies Record<string, Solid>;

/** The upper lobes fill the cage wider than the ellipsoids above taper. */
export const APICES: readonly Solid[] = [
  { centre: [-35, 0, 16], semiAxes: [28, 45, 54], tilt: -0.12, attenuation: MU.lung },
  { centre: [35, 0, 15], semiAxes: [28, 45, 54], tilt: 0.12, attenuation: MU.lung },
];

/** Half the inner width of the rib cage at a height. */
export function cageHalfWidth(z: number): number {
  const widths = [LUNGS.right, APICES[0]].map((solid) => {
    if (!solid) return 0;
    const height = (z - solid.centre[2]) / (solid.semiAxes[2] + 2);
    // The right lung leans by its tilt, the left one mirrors it.
    return height > 1 ? 0 : Math.abs(solid.centre[0]) + Math.tan(solid.tilt ?? 0) * (z - solid.centre[2]) + (solid.semiAxes[0] + 2.5) * Math.sqrt(1 - height * height);
  });
  return Math.max(34, ...widths);
}

/** Everything but bones, airways and vessels; what comes first displaces what comes later. */
export function softParts(): Solid[] {
  const { right, left } = LUNGS;
  return [
    // Gas in the stomach under the left dome.
    { centre: [42, -22, -67], semiAxes: [19, 19, 8.5], tilt: 0.12, attenuation: MU.air },
    // Heart: the right atrium, the ventricles, the great vessels with the thymus.
    { centre: [-3, -14, -24], semiAxes: [26, 30, 40], tilt: -0.1, attenuation: MU.soft },
    { centre: [15, -18, -33], semiAxes: [42, 31, 29], tilt: -0.55, attenuation: MU.soft },
    { centre: [11, -16, -8], semiAxes: [21, 26, 36], tilt: -0.4, attenuation: MU.soft },
    { centre: [2, -10, 14], semiAxes: [22.5, 26, 42], tilt: 0.03, attenuation: MU.soft },
    { centre: [3, -2, 46], semiAxes: [19.5, 26, 44], attenuation: MU.soft },
    { centre: [15, 10, 27], semiAxes: [10, 13, 10.5], attenuation: MU.soft },
    // Spine and its muscles.
    { centre: [0, 42, 0], semiAxes: [15, 15, Infinity], attenuation: MU.soft },
    { centre: [10, 18, -30], semiAxes: [7.5, 7.5, Infinity], zMax: 24, attenuation: MU.soft },
    // Diaphragm with liver (right) and spleen (left).
    { centre: [-42, 0, -83], semiAxes: [44, 58, 42], tilt: -0.06, attenuation: MU.soft },
    { centre: [43, 0, -84], semiAxes: [42.5, 58, 36], tilt: 0.06, attenuation: MU.soft },
    { centre: [0, 0, -90], semiAxes: [40, 56, 38], attenuation: MU.soft },
    right,
    left,
    ...APICES,
    // The body: chest wall, shoulders, neck, upper arms.
    { centre: [0, 4, -70], semiAxes: [109, 71, 178], attenuation: MU.soft },
    { centre: [0, 8, 52], semiAxes: [122, 54, 42], attenuation: MU.soft },
    { centre: [0, 8, 78], semiAxes: [66, 34, 36], attenuation: MU.soft },
    { centre: [0, 20, 120], semiAxes: [33, 42, Infinity], zMin: 60, attenuation: MU.soft },
    { centre: [0, -8, 150], semiAxes: [46, 62, 40], attenuation: MU.marrow },
    { centre: [-116, 6, 58], semiAxes: [30, 34, 84], tilt: 0.5, attenuation: MU.soft },
    { centre: [116, 6, 58], semiAxes: [30, 34, 84], tilt: -0.5, attenuation: MU.soft },
  ];
}

/** Vertebral bodies as short columns: what they add to the soft tissue that they lie in. */
export function vertebralBodies(): { strand: Bead[]; attenuation: number }[] {
  const parts: { strand: Bead[]; attenuation: number }[] = [];
  for (let number = -1; number <= 15; number++) {
    const [, y, z] = vertebra(number);
    const half = 8 + 0.35 * Math.max(0, number);
    // Body, its two end plates, pedicles, spinous process.
    parts.push({ strand: [{ at: [-half + 3, y, z], radiusMm: 5.1 }, { at: [half - 3, y, z], radiusMm: 5.1 }], attenuation: 1.5 * (MU.vertebra - MU.soft) });
    for (const edge of [-4.6, 4.6]) {
      parts.push({ strand: [{ at: [-half, y, z + edge], radiusMm: 1.1 }, { at: [half, y, z + edge], radiusMm: 1.1 }], attenuation: 1.3 * (MU.bone - MU.soft) });
    }
    for (const side of [-1, 1]) {
      parts.push({ strand: [{ at: [side * (half - 2), y + 5, z + 1.5], radiusMm: 2.1 }, { at: [side * (half - 2), y + 15, z + 1], radiusMm: 1.9 }], attenuation: 0.38 * (MU.bone - MU.soft) });
      parts.push({ strand: [{ at: [side * (half - 1), y + 14, z + 1], radiusMm: 2.6 }, { at: [side * (half + 9), y + 19, z + 3], radiusMm: 2.4 }], attenuation: MU.marrow - MU.soft + 0.008 });
    }
    parts.push({ strand: [{ at: [0, y + 16, z - 4], radiusMm: 1.8 }, { at: [0, y + 26, z - 9], radiusMm: 1.6 }], attenuation: 0.6 * (MU.bone - MU.soft) });
  }
  return parts;
}

/** The centre line of a rib, from the spine around to where the cartilage begins; `side` is -1 right, 1 left. */
export function rib(number: number, side: -1 | 1): Bead[] {
  const [, spineY, spineZ] = vertebra(number);
  const drop = [0, 16, 26, 34, 40, 44, 47, 49, 50, 50, 46, 34, 20][number] ?? 40;
  const last = [0, 142, 146, 148, 147, 144, 140, 134, 126, 118, 108, 84, 58][number] ?? 130;
  const beads: Bead[] = [];
  for (let degrees = 6; degrees <= last; degrees += 3) {
    const angle = (degrees * Math.PI) / 180;
    // Nearly level behind, steeper to the front.
    const fall = degrees / 150;
    const z = spineZ + 4.5 * Math.sin(Math.min(1, degrees / 45) * Math.PI) - drop * (0.34 * fall + 0.66 * fall ** 1.9);
    const halfWidth = Math.min(cageHalfWidth(z), cageHalfWidth(spineZ - 0.45 * drop) + 1.5);
    const depth = Math.min(halfWidth * 0.86, 60);
    const x = side * (halfWidth * Math.sin(angle) ** 0.86 + 1.2);
    const y = mix(spineY + 15, 2, 0.35) + depth * Math.cos(angle) - 6;
    const taper = degrees < 18 ? mix(2.0, 2.6, (degrees - 6) / 12) : mix(2.6, 3.3, (degrees - 18) / 132);
    beads.push({ at: [x, y, z], radiusMm: number > 10 ? taper * 0.8 : taper });
  }
  return beads;
}

/** The clavicle of one side, S-shaped. */
export function clavicle(side: -1 | 1): Bead[] {
  const line: [number, number, number, number][] = [
    [12, -36, 67, 4.4], [20, -38, 71, 3.5], [32, -39, 75.5, 2.9], [46, -34, 78.5, 2.8], [60, -25, 79.5, 3.0], [72, -16, 81, 3.5], [81, -10, 83, 3.8],
  ];
  return smooth(line.map(([x, y, z, radiusMm]) => ({ at: [side * x, y, z], radiusMm })));
}

/** Spine, edge and inner border of the shoulder blade, turned out of the lung field; with the head of the humerus and its shaft. */
export function shoulder(side: -1 | 1): Bead[][] {
  const place = (points: [number, number, number, number][]): Bead[] => smooth(points.map(([x, y, z, radiusMm]) => ({ at: [side * x, y, z], radiusMm })));
  return [
    place([[60, 50, 60, 1.6], [72, 44, 68, 2.2], [86, 34, 75, 3.0], [96, 20, 80, 3.4]]),
    place([[92, 26, 64, 4.2], [88, 34, 52, 2.9], [84, 42, 36, 2.4], [81, 48, 18, 2.1], [78, 50, 6, 2.4]]),
    place([[60, 50, 62, 1.4], [66, 52, 42, 1.4], [73, 52, 20, 1.5], [78, 50, 6, 2.0]]),
    place([[103, 8, 69, 7.5], [106, 7, 64, 9.0], [109, 6, 58, 6.0]]),
    place([[110, 6, 54, 6.2], [117, 6, 38, 5.6], [126, 6, 14, 5.4], [136, 6, -12, 5.4]]),
  ];
}

/** Trachea and main bronchi: air in the mediastinum. */
export function airways(): Bead[][] {
  return [
    [{ at: [-1, -2, 125], radiusMm: 4.4 }, { at: [-2, 2, 70], radiusMm: 4.3 }, { at: [-3, 8, 36], radiusMm: 4.2 }, { at: [-2, 10, 28], radiusMm: 4.1 }],
    [{ at: [-3, 10, 29], radiusMm: 3.4 }, { at: [-12, 11, 17], radiusMm: 3.1 }, { at: [-22, 11, 7], radiusMm: 2.5 }],
    [{ at: [-1, 10, 29], radiusMm: 3.1 }, { at: [12, 11, 18], radiusMm: 2.7 }, { at: [26, 12, 9], radiusMm: 2.2 }],
  ];
}

/** Three beads in place of each gap, on a Catmull-Rom curve. */
export function smooth(beads: readonly Bead[]): Bead[] {
  const curve: Bead[] = [];
  for (let index = 0; index + 1 < beads.length; index++) {
    const [a, b, c, d] = [index - 1, index, index + 1, index + 2].map((at) => beads[Math.min(beads.length - 1, Math.max(0, at))]);
    if (!a || !b || !c || !d) continue;
    for (const t of [0, 0.25, 0.5, 0.75]) curve.push(between(a, b, c, d, t));
  }
  const end = beads.at(-1);
  return end ? [...curve, end] : curve;
}

function between(a: Bead, b: Bead, c: Bead, d: Bead, t: number): Bead {
  const spline = (p: number, q: number, r: number, s: number): number =>
    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t * t * t);
  return {
    at: [spline(a.at[0], b.at[0], c.at[0], d.at[0]), spline(a.at[1], b.at[1], c.at[1], d.at[1]), spline(a.at[2], b.at[2], c.at[2], d.at[2])],
    radiusMm: Math.max(0.3, spline(a.radiusMm, b.radiusMm, c.radiusMm, d.radiusMm)),
  };
}
