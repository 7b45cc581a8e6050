import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readNifti } from '../../imaging/volume/nifti.js';
import type { Volume } from '../../imaging/volume/volume.js';
import { CommandError } from '../failure.js';
import { filesAt } from './files-at.js';
import type { FolderStudy } from './studies.js';

const unzip = promisify(gunzip);

const NIFTI = /\.nii(?:\.gz)?$/i;
/** A label map by its name, as the collections have it: `BraTS-GLI-0001-seg.nii.gz`. */
const LABEL_MAP = /seg[^/\\]*\.nii(?:\.gz)?$/i;
/** Oedema, core and enhancing tumour by the labels of BraTS. @see Baid et al. 2021, "The RSNA-ASNR-MICCAI BraTS 2021 Benchmark" */
const BRATS_LABELS: ReadonlySet<number> = new Set([0, 1, 2, 4]);

/**
 * The label map of each study. `truth` may be the one file of the one study; a folder apart from the images, with files that begin with the name of the study's folder or its Study
 * Instance UID; or the folder of the images itself, where it lies beside the files of the study or in the nearest folder above them.
 *
 * @throws CommandError `dataset-invalid` where there is none, or several
 */
export async function labelMapsOf(studies: readonly FolderStudy[], truth: string, dataset: string): Promise<string[]> {
  const found = await stat(truth).catch((error: unknown) => { throw new CommandError('dataset-invalid', `There is no readable file or folder ${truth}`, { cause: error }); });
  if (!found.isDirectory()) {
    if (studies.length > 1) throw new CommandError('dataset-invalid', `${truth} is one file, and the set has ${String(studies.length)} studies: name a folder`);
    return studies.map(() => truth);
  }
  if (resolve(truth) === resolve(dataset)) return Promise.all(studies.map((study) => besideImages(study, dataset)));
  const files = (await filesAt(truth)).filter((file) => NIFTI.test(file));
  return studies.map((study) => only(files.filter((file) => namesOf(study, dataset).some((name) => isNamedAfter(basename(file), name))), study, truth));
}

async function besideImages(study: FolderStudy, dataset: string): Promise<string> {
  const top = resolve(dataset);
  for (let level = new Set([...study.folders].map((folder) => resolve(folder))); level.size > 0; level = new Set([...level].filter((folder) => folder !== top).map((folder) => dirname(folder)))) {
    const found = await Promise.all([...level].map(async (folder) => (await readdir(folder)).filter((name) => LABEL_MAP.test(name)).map((name) => join(folder, name))));
    if (found.flat().length > 0) return only(found.flat(), study, dataset);
  }
  return only([], study, dataset);
}

function only([first, ...others]: readonly string[], { studyInstanceUid }: FolderStudy, place: string): string {
  if (first === undefined) throw new CommandError('dataset-invalid', `There is no label map (NIfTI) for study ${studyInstanceUid} in ${place}`);
  if (others.length > 0) throw new CommandError('dataset-invalid', `Study ${studyInstanceUid} has several label maps: ${[first, ...others].join(', ')}`);
  return first;
}

/** Its UID, and the folder below the dataset that it lies in. */
function namesOf({ studyInstanceUid, folders }: FolderStudy, dataset: string): string[] {
  const tops = [...folders].map((folder) => relative(dataset, folder).split(sep)[0] ?? '').filter((name) => name !== '' && name !== '..');
  return [studyInstanceUid, ...new Set(tops)];
}

/** `case-1` is not the name of `case-10.nii.gz`, nor `1.2` that of `1.2.3.nii`. */
function isNamedAfter(file: string, name: string): boolean {
  return file.startsWith(name) && !/^(?:[A-Za-z0-9]|\.\d)/.test(file.slice(name.length));
}

/**
 * Labels of BraTS: 1 core that does not enhance, 2 oedema, 4 enhancing tumour, which is 3 in files since 2023.
 *
 * @throws CommandError `dataset-invalid` for what is no label map
 */
export async function readLabelMap(path: string): Promise<Volume<Uint8Array>> {
  const raw = await readFile(path);
  const { size, affine, voxels } = await niftiOf(raw).catch((error: unknown) => { throw new CommandError('dataset-invalid', `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error }); });
  const labels = new Uint8Array(voxels.length);
  for (const [at, value] of voxels.entries()) {
    const label = value === 3 ? 4 : value;
    if (!BRATS_LABELS.has(label)) throw new CommandError('dataset-invalid', `${path} holds the value ${String(value)}, which is no label of BraTS (1 core, 2 oedema, 3 or 4 enhancing)`);
    labels[at] = label;
  }
  return { size, affine, voxels: labels };
}

async function niftiOf(raw: Buffer): Promise<ReturnType<typeof readNifti>> {
  return readNifti(raw[0] === 0x1f && raw[1] === 0x8b ? await unzip(raw) : raw);
}
