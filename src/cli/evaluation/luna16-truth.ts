import type { Lesion } from '../../imaging/evaluation/froc.js';
import { CommandError } from '../failure.js';
import { parseCsv } from './csv.js';

export const LUNA16_COLUMNS = ['seriesuid', 'coordX', 'coordY', 'coordZ', 'diameter_mm'] as const;

/** Whether a CSV text has the columns of LUNA16's annotations. */
export function isLuna16(csv: string): boolean {
  const [head = ''] = csv.split(/\r?\n/, 1);
  return LUNA16_COLUMNS.every((column) => head.split(',').map((name) => name.trim()).includes(column));
}

/**
 * LUNA16's annotations: nodules of 3 mm or more that three of four radiologists have outlined, in LPS millimetres. A scan without a row has none.
 *
 * @returns lesions by Series Instance UID
 * @throws CommandError `dataset-invalid`
 */
export function readLuna16(csv: string, path: string): Map<string, Lesion[]> {
  const lesions = new Map<string, Lesion[]>();
  for (const [index, row] of parseCsv(csv).entries()) {
    const [series = '', x, y, z, diameterMm] = LUNA16_COLUMNS.map((column, at) => (at === 0 ? row[column] : Number(row[column] === '' ? NaN : row[column]))) as [string | undefined, number, number, number, number];
    if (series === '' || ![x, y, z, diameterMm].every(Number.isFinite) || diameterMm <= 0) throw new CommandError('dataset-invalid', `Row ${String(index + 2)} of ${path} is no annotation of LUNA16`);
    lesions.set(series, [...(lesions.get(series) ?? []), { centre: [x, y, z], diameterMm, counts: true }]);
  }
  return lesions;
}
