import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StudyInput, StudyInstance } from '../../imaging/analyses/analysis.js';
import { number, text } from '../../imaging/dicom/attributes.js';
import { parseInstanceBytes } from '../../imaging/dicom/header.js';
import { CommandError } from '../failure.js';
import { filesAt } from './files-at.js';

/** A study in a folder of DICOM files. */
export interface FolderStudy {
  studyInstanceUid: string;
  /** What the analyses choose from. */
  input: StudyInput;
  /** Files by SOP Instance UID. */
  files: ReadonlyMap<string, string>;
  /** The folders that its files lie in. */
  folders: ReadonlySet<string>;
}

interface Gathered {
  modality: string | null;
  instances: StudyInstance[];
}

/**
 * Every study below a folder, in the order of its files' names; what is no DICOM file is passed over.
 *
 * @param tell  called with how many files were looked at, of how many
 * @throws CommandError `dataset-invalid` where there is none
 */
export async function studiesBelow(folder: string, tell: (done: number, of: number) => void): Promise<FolderStudy[]> {
  const paths = await filesAt(folder);
  const studies = new Map<string, { series: Map<string, Gathered>; files: Map<string, string>; folders: Set<string> }>();
  for (const [done, path] of paths.entries()) {
    tell(done, paths.length);
    const bytes = await readFile(path);
    if (bytes.toString('latin1', 128, 132) !== 'DICM') continue;
    const { attributes } = parseInstanceBytes(bytes);
    const [studyUid, seriesUid, sopInstanceUid] = ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'].map((keyword) => text(attributes, keyword) ?? '');
    if (!studyUid || !seriesUid || !sopInstanceUid) throw new CommandError('dataset-invalid', `${path} does not say which instance of which series it is`);
    const study = studies.get(studyUid) ?? { series: new Map<string, Gathered>(), files: new Map<string, string>(), folders: new Set<string>() };
    studies.set(studyUid, study);
    const series: Gathered = study.series.get(seriesUid) ?? { modality: text(attributes, 'Modality') ?? null, instances: [] };
    study.series.set(seriesUid, series);
    series.instances.push({ sopInstanceUid, sopClassUid: text(attributes, 'SOPClassUID') ?? '', instanceNumber: number(attributes, 'InstanceNumber') ?? null, rows: number(attributes, 'Rows') ?? null, columns: number(attributes, 'Columns') ?? null, attributes });
    study.files.set(sopInstanceUid, path);
    study.folders.add(dirname(path));
  }
  if (studies.size === 0) throw new CommandError('dataset-invalid', `There are no DICOM files below ${folder}`);
  return [...studies].map(([studyInstanceUid, { series, files, folders }]) => ({
    studyInstanceUid, files, folders, input: { series: [...series].map(([seriesInstanceUid, one]) => ({ seriesInstanceUid, ...one })) },
  }));
}
