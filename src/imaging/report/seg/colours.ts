import type { Colour } from '../../render/segments.js';

/** White of the profile connection space, D50. */
const WHITE = [0.96422, 1, 0.82521] as const;
/** Linear sRGB to XYZ under D50, Bradford adapted. */
const TO_XYZ = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]] as const;

/** An sRGB colour of 8 bits as the three unsigned shorts of DICOM. @see PS3.3 C.10.7.1.1 */
export function dicomLab([red, green, blue]: Colour): [number, number, number] {
  const linear = [red, green, blue].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  const [fx = 0, fy = 0, fz = 0] = TO_XYZ.map((row, axis) => curve(row.reduce<number>((sum, weight, i) => sum + weight * (linear[i] ?? 0), 0) / (WHITE[axis] ?? 1)));
  const short = (value: number): number => Math.max(0, Math.min(65_535, Math.round(value)));
  return [short(((116 * fy - 16) * 65_535) / 100), short(((500 * (fx - fy) + 128) * 65_535) / 255), short(((200 * (fy - fz) + 128) * 65_535) / 255)];
}

function curve(t: number): number {
  return t > 216 / 24_389 ? Math.cbrt(t) : (24_389 / 27 * t + 16) / 116;
}
