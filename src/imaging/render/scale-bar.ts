/** Lengths that a person reads at a glance, millimetres. */
const LENGTHS_MM = [1, 2, 5, 10, 20, 50, 100, 200] as const;

/** The longest bar of a round length that fits into the room; undefined where not even a millimetre does. */
export function scaleBar(pixelsPerMm: number, roomPixels: number): { pixels: number; text: string } | undefined {
  const mm = LENGTHS_MM.findLast((length) => length * pixelsPerMm <= roomPixels);
  if (mm === undefined || !Number.isFinite(pixelsPerMm) || pixelsPerMm <= 0) return undefined;
  return { pixels: mm * pixelsPerMm, text: mm < 10 ? `${String(mm)} mm` : `${String(mm / 10)} cm` };
}
