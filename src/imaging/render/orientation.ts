import { numbers, strings } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';

/** What lies at the edges of the image as it is stored; letters as in Patient Orientation (`L`, `R`, `A`, `P`, `H`, `F`). */
export interface Sides {
  left: string;
  right: string;
}

const OPPOSITE: Readonly<Record<string, string>> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' };

/**
 * Which side of the patient is at the left and right edge, where the object says so; undefined where it does not: a side is never guessed.
 *
 * @see PS3.3 C.7.6.1.1.1 (Patient Orientation names the direction of rows), C.7.6.2.1.1 (Image Orientation (Patient), LPS)
 */
export function sidesOf(attributes: DicomJson): Sides | undefined {
  // The first value tells where a row leads, so it stands at the right edge; its first letter is the main direction.
  const row = strings(attributes, 'PatientOrientation')[0]?.trim().charAt(0).toUpperCase() ?? '';
  const letter = OPPOSITE[row] === undefined ? mainDirection(numbers(attributes, 'ImageOrientationPatient').slice(0, 3)) : row;
  const opposite = letter === undefined ? undefined : OPPOSITE[letter];
  return letter === undefined || opposite === undefined ? undefined : { left: opposite, right: letter };
}

/** A component of at least this is worth a second letter: some 20° off the axis. */
const OBLIQUE = 0.34;

/** Where an LPS direction leads: one letter along an axis, a second one where it leads to both. */
export function directionLetters(direction: readonly [number, number, number]): string {
  const letters = [['L', 'R'], ['P', 'A'], ['H', 'F']] as const;
  return letters
    .map(([positive, negative], axis) => ({ letter: (direction[axis] ?? 0) > 0 ? positive : negative, part: Math.abs(direction[axis] ?? 0) }))
    .filter(({ part }) => part > OBLIQUE)
    .sort((a, b) => b.part - a.part)
    .slice(0, 2)
    .map(({ letter }) => letter)
    .join('');
}

/** The letter of an LPS direction; undefined between two axes. */
function mainDirection(cosines: readonly number[]): string | undefined {
  if (cosines.length !== 3) return undefined;
  const letters = [['L', 'R'], ['P', 'A'], ['H', 'F']] as const;
  for (const [axis, [positive, negative]] of letters.entries()) {
    const cosine = cosines[axis] ?? 0;
    if (Math.abs(cosine) > Math.SQRT1_2) return cosine > 0 ? positive : negative;
  }
  return undefined;
}
