import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { StudyInput } from '../../imaging/analyses/analysis.js';
import type { Lesion } from '../../imaging/evaluation/froc.js';
import { describeSeries } from '../../imaging/volume/describe.js';
import { indexToLps, lpsToIndex, spacingOf } from '../../imaging/volume/geometry.js';
import type { Grid } from '../../imaging/volume/volume.js';
import { CommandError } from '../failure.js';
import { filesAt } from './files-at.js';
import { lesionsOf, readLidc, type LidcReading, type SlicePlace } from './lidc-truth.js';
import { isLuna16, LUNA16_COLUMNS, readLuna16 } from './luna16-truth.js';

type Series = StudyInput['series'][number];

/** What is known of the lesions of scans. */
export interface LesionTruth {
  kind: 'luna16' | 'lidc';
  files: string[];
  /** Whether the truth names this scan; annotations of LUNA16 name only those that have a nodule. */
  names: (series: Series) => boolean;
  /** @throws CommandError `dataset-invalid` for a scan of which nothing is known, and for lesions that lie beside it */
  of: (series: Series) => Lesion[];
}

/**
 * LUNA16's annotations (a CSV), or readings of LIDC-IDRI (XML files), at or below a path. Where both lie there the readings are taken: they know what is not to be counted, too.
 *
 * @throws CommandError `dataset-invalid`
 */
export async function openLesionTruth(path: string): Promise<LesionTruth> {
  const files = await filesAt(path);
  const readingFiles = files.filter((file) => /\.xml$/i.test(file));
  const readings = new Map<string, LidcReading>();
  for (const file of readingFiles) {
    const reading = readLidc(await readFile(file, 'utf8'), file);
    readings.set(reading.seriesInstanceUid, reading);
  }
  if (readings.size > 0) {
    return {
      kind: 'lidc', files: readingFiles, names: ({ seriesInstanceUid }) => readings.has(seriesInstanceUid),
      of: (series) => {
        const reading = readings.get(series.seriesInstanceUid);
        if (!reading) throw new CommandError('dataset-invalid', `None of the readings at ${path} is of series ${series.seriesInstanceUid}`);
        return ofReading(reading, series);
      },
    };
  }
  const tables = files.filter((file) => /\.csv$/i.test(file));
  for (const file of tables) {
    const csv = await readFile(file, 'utf8');
    if (!isLuna16(csv)) continue;
    const lesions = readLuna16(csv, file);
    return { kind: 'luna16', files: [file], names: ({ seriesInstanceUid }) => lesions.has(seriesInstanceUid), of: (series) => inside(lesions.get(series.seriesInstanceUid) ?? [], series) };
  }
  const [table] = tables;
  throw new CommandError('dataset-invalid', table === path ? `${basename(path)} does not have the columns ${LUNA16_COLUMNS.join(', ')}` : `There are neither annotations of LUNA16 (.csv with the columns ${LUNA16_COLUMNS.join(', ')}) nor readings of LIDC-IDRI (.xml) at ${path}`);
}

function gridOf({ instances, seriesInstanceUid }: Series): { grid: Grid; frames: { sopInstanceUid: string }[] } {
  const { grid, frames, fault } = describeSeries(instances);
  if (!grid) throw new CommandError('dataset-invalid', `Series ${seriesInstanceUid} makes no volume${fault ? `: ${fault.detail}` : ''}`);
  return { grid, frames };
}

/** Places in another system of coordinates (RAS, voxels) lie beside the scan more often than not. */
function inside(lesions: Lesion[], series: Series): Lesion[] {
  if (lesions.length === 0) return lesions;
  const { grid } = gridOf(series);
  const spacing = spacingOf(grid.affine);
  for (const { centre, diameterMm } of lesions) {
    const isOutside = lpsToIndex(grid, centre).some((index, axis) => {
      const reach = diameterMm / 2 / (spacing[axis] ?? 1) + 1;
      return index < -reach || index > (grid.size[axis] ?? 0) - 1 + reach;
    });
    if (isOutside) throw new CommandError('dataset-invalid', `The nodule at (${centre.join(', ')}) lies outside of series ${series.seriesInstanceUid}: places are LPS millimetres of the scan`);
  }
  return lesions;
}

function ofReading(reading: LidcReading, series: Series): Lesion[] {
  const { grid, frames } = gridOf(series);
  const spacing = spacingOf(grid.affine);
  const places = new Map(frames.map(({ sopInstanceUid }, slice): [string, SlicePlace] => [sopInstanceUid, { toLps: (column, row) => indexToLps(grid.affine, [column, row, slice]), pixelMm2: spacing[0] * spacing[1] }]));
  return lesionsOf(reading, places, spacing[2]);
}
