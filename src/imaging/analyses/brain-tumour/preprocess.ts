import type { MrPreparation } from '../../model/manifests/mr-preparation.js';
import { correctBias } from '../../volume/bias-field.js';
import { extractBrain } from '../../volume/brain-extraction.js';
import { composeAffines, invertAffine, sameGrid, voxelVolumeMl } from '../../volume/geometry.js';
import { register } from '../../volume/register/register.js';
import { reorient } from '../../volume/reorient.js';
import { resample, resampleLabels, respacedGrid } from '../../volume/resample.js';
import type { Affine, Grid, Volume } from '../../volume/volume.js';
import { notAnalysable, type AnalysisTools, type NotAnalysable } from '../analysis.js';
import { contentFault, entriesOf, isStripped, type MrVolumes } from './image-checks.js';
import { ROLE_NAMES, type MrRole } from './sequences.js';

export interface PreparedMr {
  kind: 'prepared';
  /** On one grid; zero outside of the brain. */
  channels: Readonly<Partial<Record<MrRole, Volume>>>;
  grid: Grid;
  /** 0 or 1 on the grid, `[z, y, x]`. */
  brainMask: Uint8Array;
  referenceRole: MrRole;
  /** A point of the reference series, LPS millimetres → the same point of the body in the series of a role. */
  toSeries: Readonly<Partial<Record<MrRole, Affine>>>;
  /** What was done and what was left, with the reason: sentences for the provenance. */
  notes: string[];
  details: Record<string, unknown>;
}

type Tools = Pick<AnalysisTools, 'random' | 'stage' | 'progress'>;

const IDENTITY: Affine = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];
/** Alignments below these are none: share of the reference's head inside the other image, and nats. */
const MIN_OVERLAP = 0.5;
const MIN_INFORMATION = 0.1;
/** Millilitres; what is smaller or larger is no brain that was found. */
const BRAIN_ML = { min: 500, max: 2500 };

/**
 * Brings MR series to channels that a network reads: aligned with the reference series, on one grid, freed of everything but brain, and of
 * the coils' field if asked. Images that come prepared (one grid, zero around the brain) pass untouched, bit by bit.
 *
 * @returns or `missing-sequence` (two are the same image), `low-image-quality` (empty, cannot be aligned, no brain found)
 */
export async function prepareMr(volumes: MrVolumes, settings: MrPreparation, tools: Tools): Promise<PreparedMr | NotAnalysable> {
  const fault = contentFault(volumes);
  if (fault !== undefined) return fault;
  const referenceRole = settings.reference in volumes ? settings.reference : entriesOf(volumes)[0]?.[0];
  const reference = referenceRole === undefined ? undefined : volumes[referenceRole];
  if (referenceRole === undefined || reference === undefined) return notAnalysable('missing-sequence', 'The study has none of the sequences.');
  const stripped = entriesOf(volumes).every(([, volume]) => isStripped(volume));
  const oneGrid = entriesOf(volumes).every(([, volume]) => sameGrid(volume, reference));
  const aligned = await tools.stage('register', () => align(volumes, reference, referenceRole, settings, stripped && oneGrid, tools));
  if (aligned.kind === 'not-analysable') return aligned;
  return tools.stage('prepare', () => toGrid(volumes, reference, referenceRole, settings, stripped, aligned, tools.progress));
}

/** A label map of the prepared grid on the grid of the reference series as it was stored, by nearest voxel. */
export function labelsOnReference({ grid }: PreparedMr, labels: Uint8Array, reference: Grid): Uint8Array {
  return sameGrid(grid, reference) ? labels : resampleLabels({ ...grid, voxels: labels }, reference).voxels;
}

interface Aligned {
  kind: 'aligned';
  toSeries: Partial<Record<MrRole, Affine>>;
  notes: string[];
  details: Record<string, unknown>;
}

function align(volumes: MrVolumes, reference: Volume, referenceRole: MrRole, { registration }: MrPreparation, prepared: boolean, { random, progress }: Tools): Aligned | NotAnalysable {
  const entries = entriesOf(volumes);
  const toSeries: Partial<Record<MrRole, Affine>> = Object.fromEntries(entries.map(([role]) => [role, IDENTITY]));
  if (registration === 'none') return { kind: 'aligned', toSeries, notes: ['Registration: left out, as the model asks.'], details: {} };
  if (prepared) return { kind: 'aligned', toSeries, notes: ['Registration: left out, the images share one grid and their background is zero.'], details: {} };
  const notes: string[] = [];
  const details: Record<string, unknown> = {};
  const others = entries.filter(([role]) => role !== referenceRole);
  for (const [index, [role, moving]] of others.entries()) {
    const { toMoving, mutualInformation, overlap } = register(reference, moving, { kind: registration, random, progress: (done) => { progress((index + done) / others.length); } });
    if (overlap < MIN_OVERLAP || mutualInformation.after < MIN_INFORMATION) return notAnalysable('low-image-quality', `${ROLE_NAMES[role]} cannot be aligned with ${ROLE_NAMES[referenceRole]}: the images have too little in common.`);
    toSeries[role] = toMoving;
    details[role] = { toSeries: toMoving.map((row) => row.map((value) => round(value, 1e6))), mutualInformation: { before: round(mutualInformation.before, 1e4), after: round(mutualInformation.after, 1e4) }, overlap: round(overlap, 1e3) };
    notes.push(`Registration: ${ROLE_NAMES[role]} onto ${ROLE_NAMES[referenceRole]}, ${registration}, by mutual information.`);
  }
  return { kind: 'aligned', toSeries, notes, details };
}

function toGrid(volumes: MrVolumes, reference: Volume, referenceRole: MrRole, settings: MrPreparation, stripped: boolean, aligned: Aligned, progress: (done: number) => void): PreparedMr | NotAnalysable {
  const notes = [...aligned.notes];
  const grid = targetGrid(reference, settings);
  const entries = entriesOf(volumes);
  const channels: Partial<Record<MrRole, Volume>> = {};
  let untouched = 0;
  for (const [index, [role, volume]] of entries.entries()) {
    const map = aligned.toSeries[role] ?? IDENTITY;
    if (map === IDENTITY && sameGrid(volume, grid)) {
      channels[role] = volume;
      untouched++;
    } else {
      // Points of the series carried back into the reference's millimetres.
      const placed: Volume = { ...volume, affine: composeAffines(invertAffine(map), volume.affine) };
      channels[role] = resample(placed, grid, { interpolation: settings.interpolation, outside: 0 }, (done) => { progress((0.3 * (index + done)) / entries.length); });
    }
  }
  notes.push(untouched === entries.length ? 'Resampling: left out, the images are on the grid that the model reads.' : `Resampling: ${String(entries.length - untouched)} of ${String(entries.length)} images, ${settings.interpolation}, to ${grid.size.join(' × ')} voxels.`);
  const brain = brainOf(channels, settings, stripped, notes, (done) => { progress(0.3 + 0.4 * done); });
  if (brain.kind === 'not-analysable') return brain;
  const details: Record<string, unknown> = { registration: aligned.details, brainMl: brain.volumeMl };
  if (brain.extracted) for (const [role, channel] of entriesOf(channels)) channels[role] = masked(channel, brain.mask);
  if (settings.biasField === 'n4') {
    const ranges: Record<string, [number, number]> = {};
    for (const [index, [role, channel]] of entriesOf(channels).entries()) {
      const { volume, range } = correctBias(channel, brain.mask, (done) => { progress(0.7 + (0.3 * (index + done)) / entries.length); });
      channels[role] = volume;
      ranges[role] = [round(range[0], 1e3), round(range[1], 1e3)];
    }
    details.biasField = ranges;
    notes.push('Bias field: taken out by N4.');
  } else notes.push('Bias field: left as it is, the model asks for no correction.');
  progress(1);
  return { kind: 'prepared', channels, grid, brainMask: brain.mask, referenceRole, toSeries: aligned.toSeries, notes, details };
}

function targetGrid(reference: Volume, { orientation, spacingMm }: MrPreparation): Grid {
  // Voxels are not needed to turn a grid.
  const { size, affine, frameOfReferenceUid } = reorient(reference, orientation);
  const turned: Grid = { size, affine, ...(frameOfReferenceUid === undefined ? {} : { frameOfReferenceUid }) };
  if (spacingMm === 'reference') return turned;
  const respaced = respacedGrid(turned, spacingMm);
  return sameGrid(respaced, turned) ? turned : respaced;
}

type Brain = { kind: 'brain'; mask: Uint8Array; volumeMl: number; extracted: boolean };

function brainOf(channels: MrVolumes, { brainExtraction, brainFraction }: MrPreparation, stripped: boolean, notes: string[], progress: (done: number) => void): Brain | NotAnalysable {
  const skip = brainExtraction === 'never' ? 'as the model asks' : brainExtraction === 'auto' && stripped ? 'the background is zero already' : undefined;
  const t1 = channels.t1 ?? channels.t1c ?? channels.flair ?? channels.t2;
  if (skip !== undefined || t1 === undefined) {
    notes.push(`Brain extraction: left out, ${skip ?? 'there is no image'}.`);
    const mask = new Uint8Array(t1?.voxels.length ?? 0);
    for (const [, { voxels }] of entriesOf(channels)) for (let o = 0; o < mask.length; o++) if ((voxels[o] ?? 0) !== 0) mask[o] = 1;
    return { kind: 'brain', mask, volumeMl: t1 === undefined ? 0 : mlOf(mask, t1), extracted: false };
  }
  const { mask, volumeMl } = extractBrain(channels.t2 === undefined || channels.t2 === t1 ? { t1 } : { t1, t2: channels.t2 }, { fraction: brainFraction, progress });
  if (volumeMl < BRAIN_ML.min || volumeMl > BRAIN_ML.max) return notAnalysable('low-image-quality', `No brain can be told from its surroundings: what was found measures ${String(Math.round(volumeMl))} ml.`);
  notes.push(`Brain extraction: ${String(Math.round(volumeMl))} ml, by a surface that grows from the middle of the head.`);
  return { kind: 'brain', mask, volumeMl: Math.round(volumeMl), extracted: true };
}

function masked(volume: Volume, mask: Uint8Array): Volume {
  const voxels = volume.voxels.slice();
  for (let o = 0; o < voxels.length; o++) if (mask[o] !== 1) voxels[o] = 0;
  return { ...volume, voxels };
}

function mlOf(mask: Uint8Array, { affine }: Grid): number {
  let count = 0;
  for (const inside of mask) count += inside;
  return Math.round(count * voxelVolumeMl(affine));
}

function round(value: number, per: number): number {
  return Math.round(value * per) / per;
}
