import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { RasterPixels } from '../../imaging/dicom/wrap-image.js';
import { CommandError } from '../failure.js';
import { parseCsv } from './csv.js';
import { readNpz, type NumpyArray } from './npz.js';

/** One labelled image. */
export interface Sample {
  name: string;
  patientId?: string;
  ageYears?: number;
  sex?: 'M' | 'F';
  view?: string;
  /** A raster to wrap, or a file to read: PNG, JPEG or DICOM. */
  image: RasterPixels | { file: string };
  /** Whether it shows the label of this name. */
  shows: (label: Manifest['labels'][number]) => boolean;
}

export interface Dataset {
  path: string;
  kind: 'npz' | 'folder';
  /** Of the npz file, or of labels.csv. */
  sha256: string;
  split: string | null;
  hasAges: boolean;
  hasViews: boolean;
  samples: Sample[];
}

/** @throws CommandError `dataset-invalid` */
export async function openDataset(path: string, split: string, manifest: Manifest): Promise<Dataset> {
  if ((await stat(path)).isDirectory()) return openFolder(path);
  return openNpz(path, split, manifest);
}

/** MedMNIST's layout: `<split>_images` [n, h, w] or [n, h, w, 3], `<split>_labels` [n, 1] classes or [n, k] flags. */
async function openNpz(path: string, split: string, manifest: Manifest): Promise<Dataset> {
  const arrays = await readNpz(path, [`${split}_images`, `${split}_labels`]);
  const images = arrays.get(`${split}_images`);
  const labels = arrays.get(`${split}_labels`);
  if (!images || !labels) throw new CommandError('dataset-invalid', `${path} has no ${split}_images and ${split}_labels`);
  const [count = 0, height = 0, width = 0, channels = 1] = images.shape;
  if (!(images.data instanceof Uint8Array) || (channels !== 1 && channels !== 3) || labels.shape[0] !== count) throw new CommandError('dataset-invalid', `${split}_images must be uint8 [n, height, width] or [n, height, width, 3], with as many labels`);
  const { data } = images;
  const size = height * width * channels;
  const flags = labels.shape[1] ?? 1;
  if (manifest.recipe !== 'image-classifier') throw new CommandError('dataset-invalid', `The dataset holds images; the recipe ${manifest.recipe} reads volumes`);
  const outputs = manifest.outputs.logits.shape[1];
  return {
    path, kind: 'npz', sha256: await sha256Of(path), split, hasAges: false, hasViews: false,
    samples: Array.from({ length: count }, (_, index) => ({
      name: `${split}/${String(index)}`,
      image: { pixels: data.slice(index * size, (index + 1) * size), width, height, channels, bits: 8 },
      shows: ({ index: label }) => {
        if (flags > 1) return at(labels, index * flags + label) === 1;
        // One number per image is its class; a network with one output tells class 1 from class 0.
        return at(labels, index) === (outputs === 1 ? 1 : label);
      },
    })),
  };
}

function at({ data }: NumpyArray, index: number): number {
  return Number(data[index] ?? NaN);
}

const COLUMNS = {
  file: ['file', 'filename', 'image', 'image index', 'path'], labels: ['labels', 'label', 'finding labels', 'findings'], patient: ['patient', 'patient id', 'patientid'],
  age: ['age', 'patient age', 'patientage'], sex: ['sex', 'gender', 'patient gender', 'patient sex'], view: ['view', 'view position', 'viewposition'],
} as const;

/** `labels.csv` with a column for the file and one for its labels, separated by `|`; patient, age, sex and view if known. */
async function openFolder(path: string): Promise<Dataset> {
  const list = join(path, 'labels.csv');
  const rows = parseCsv(await readFile(list, 'utf8').catch((error: unknown) => { throw new CommandError('dataset-invalid', `There is no readable labels.csv in ${path}`, { cause: error }); }));
  const places = await filesBelow(path);
  const samples = rows.map((row): Sample => {
    const cell = (column: keyof typeof COLUMNS): string => Object.entries(row).find(([name]) => (COLUMNS[column] as readonly string[]).includes(name.toLowerCase()))?.[1] ?? '';
    const name = cell('file');
    const file = places.get(name);
    if (name === '' || file === undefined) throw new CommandError('dataset-invalid', name === '' ? 'labels.csv has no column "file"' : `${name} of labels.csv is not in ${path}`);
    const labels = new Set(cell('labels').split('|').map(normal));
    const age = cell('age') === '' ? NaN : Number(cell('age').replace(/^0*(\d+)Y$/i, '$1'));
    const sex = cell('sex').toUpperCase().slice(0, 1);
    return {
      name, image: { file }, shows: (label) => labels.has(normal(label.name)),
      ...(cell('patient') !== '' && { patientId: cell('patient') }), ...(Number.isFinite(age) && age >= 0 && age <= 150 && { ageYears: age }),
      ...((sex === 'M' || sex === 'F') && { sex }), ...(cell('view') !== '' && { view: cell('view').toUpperCase() }),
    };
  });
  return {
    path, kind: 'folder', sha256: await sha256Of(list), split: null, samples,
    hasAges: samples.some(({ ageYears }) => ageYears !== undefined), hasViews: samples.some(({ view }) => view !== undefined),
  };
}

function normal(label: string): string {
  return label.trim().toLowerCase().replaceAll(/[_\s-]+/g, ' ');
}

/** Files by their name and by their path below the folder. */
async function filesBelow(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(entry.name, file);
    files.set(file.slice(folder.length).replace(/^[/\\]+/, ''), file);
  }
  return files;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return hash.digest('hex');
}
