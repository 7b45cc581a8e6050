import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { labelsOnReference, prepareMr, type PreparedMr } from '../../../src/imaging/analyses/brain-tumour/preprocess.js';
import type { MrRole } from '../../../src/imaging/analyses/brain-tumour/sequences.js';
import type { AnalysisTools } from '../../../src/imaging/analyses/analysis.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { mrPreparationSchema, type MrPreparation } from '../../../src/imaging/model/manifests/mr-preparation.js';
import { uniformStream } from '../../../src/imaging/phantom/random.js';
import { assembleSeries } from '../../../src/imaging/volume/assemble.js';
import { extractBrain } from '../../../src/imaging/volume/brain-extraction.js';
import { describeSeries } from '../../../src/imaging/volume/describe.js';
import type { Volume } from '../../../src/imaging/volume/volume.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';
import { readNifti } from '../../support/nifti.js';
import { DATA, sharedFile } from '../../support/shared-data.js';

const STRIPPED = sharedFile(DATA, 'mri', 'brats_dqe');
const NATIVE = sharedFile(DATA, 'mri', 'tcga_fg6692_native');
const HEALTHY = sharedFile(DATA, 'mri', 'brain_t1_dicom_fnndsc');

type Volumes = Record<MrRole, Volume>;

function load(folder: string, names: Record<MrRole, string>): Volumes {
  const one = (role: MrRole): Volume => {
    const { size, affine, voxels } = readNifti(join(folder, `${names[role]}.nii.gz`));
    return { size, affine, voxels: voxels instanceof Int16Array ? voxels : Float32Array.from(voxels) };
  };
  return { t1: one('t1'), t1c: one('t1c'), t2: one('t2'), flair: one('flair') };
}

const settings = (over: Partial<MrPreparation> = {}): MrPreparation => ({ ...mrPreparationSchema.parse({}), ...over });
const stages: string[] = [];
const tools = (): Pick<AnalysisTools, 'random' | 'stage' | 'progress'> => ({
  random: uniformStream(1),
  progress: (done) => { expect(done >= 0 && done <= 1).toBe(true); },
  stage: async (name, work) => {
    stages.push(name);
    return work();
  },
});

async function prepared(volumes: Partial<Volumes>, over?: Partial<MrPreparation>): Promise<PreparedMr> {
  const outcome = await prepareMr(volumes, settings(over), tools());
  if (outcome.kind !== 'prepared') throw new Error(outcome.detail);
  return outcome;
}

describe('prepareMr', () => {
  it.skipIf(STRIPPED === undefined)('hands images that come prepared on as they are, and says so', async () => {
    const volumes = load(STRIPPED ?? '', { t1: 't1n', t1c: 't1c', t2: 't2w', flair: 't2f' });
    const { channels, notes, toSeries, grid, brainMask } = await prepared(volumes);
    for (const role of ['t1', 't1c', 't2', 'flair'] as const) expect(channels[role]?.voxels).toBe(volumes[role].voxels);
    expect(toSeries.flair).toEqual([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]);
    expect(grid.size).toEqual([240, 240, 155]);
    expect(brainMask.reduce((sum, inside) => sum + inside, 0) / 1000).toBeGreaterThan(1000);
    expect(notes.filter((note) => note.includes('left out'))).toHaveLength(3);
  });

  it.skipIf(STRIPPED === undefined)('finds out that two sequences are one image, even when it was scaled', async () => {
    const volumes = load(STRIPPED ?? '', { t1: 't1n', t1c: 't1c', t2: 't2w', flair: 't2f' });
    const scaled = { ...volumes.t1, voxels: Float32Array.from(volumes.t1.voxels, (value) => value * 0.37) };
    expect(await prepareMr({ ...volumes, t1c: scaled }, settings(), tools())).toMatchObject({ kind: 'not-analysable', code: 'missing-sequence', detail: expect.stringContaining('hold the same image') as string });
    expect(await prepareMr({ t1: volumes.t1, t1c: volumes.t1, t2: volumes.t1, flair: volumes.t1 }, settings(), tools())).toMatchObject({ code: 'missing-sequence' });
    expect(await prepareMr({ ...volumes, t2: { ...volumes.t2, voxels: new Int16Array(volumes.t2.voxels.length) } }, settings(), tools())).toMatchObject({ code: 'low-image-quality' });
  });

  it.skipIf(NATIVE === undefined)('aligns and strips a head of thick slices', async () => {
    const volumes = load(NATIVE ?? '', { t1: 't1', t1c: 't1c', t2: 't2', flair: 'fla' });
    const result = await prepared(volumes);
    expect(result.grid.size).toEqual([230, 201, 143]);
    const ml = result.details.brainMl;
    console.info(`brain: ${String(ml)} ml`);
    expect(ml).toBeGreaterThan(1300);
    expect(ml).toBeLessThan(1900);
    for (const channel of Object.values(result.channels)) expect(channel.voxels.every((value, offset) => result.brainMask[offset] === 1 || value === 0)).toBe(true);
    const middle = (fi: number, fj: number, fk: number): number | undefined => {
      const [columns, rows, slices] = result.grid.size;
      return result.brainMask[Math.round(fi * columns) + columns * (Math.round(fj * rows) + rows * Math.round(fk * slices))];
    };
    expect(middle(0.5, 0.5, 0.6)).toBe(1);
    expect(middle(0.02, 0.5, 0.6)).toBe(0);
    const back = labelsOnReference(result, result.brainMask, volumes.t1c);
    expect(back).toHaveLength(volumes.t1c.voxels.length);
    const native = back.reduce((sum, inside) => sum + inside, 0) * 0.8984375 ** 2 * 5.5 / 1000;
    expect(Math.abs(native - Number(ml)) / Number(ml)).toBeLessThan(0.02);
  });

  it.skipIf(NATIVE === undefined)('gives the same for the same input', async () => {
    const volumes = load(NATIVE ?? '', { t1: 't1', t1c: 't1c', t2: 't2', flair: 'fla' });
    const [a, b] = [await prepared(volumes, { brainExtraction: 'never' }), await prepared(volumes, { brainExtraction: 'never' })];
    expect(a.toSeries).toEqual(b.toSeries);
    // Millions of numbers: a matcher would take minutes.
    expect(a.channels.flair?.voxels.every((value, offset) => value === b.channels.flair?.voxels[offset])).toBe(true);
  });
});

describe('extractBrain', () => {
  it.skipIf(HEALTHY === undefined)('finds a brain of human size in a T1 image of head and neck', async () => {
    const folder = HEALTHY ?? '';
    const objects = readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => {
      const bytes = new Uint8Array(readFileSync(join(folder, name)));
      const { sopInstanceUid, attributes } = parseInstanceBytes(bytes);
      return { sopInstanceUid, bytes, attributes };
    });
    const volume = await assembleSeries(describeSeries(objects), objects, nativeCodec);
    const { mask, volumeMl, restarts } = extractBrain({ t1: volume }, { fraction: 0.6 });
    console.info(`brain: ${volumeMl.toFixed(0)} ml, begun anew ${String(restarts)} times`);
    expect(volumeMl).toBeGreaterThan(1100);
    expect(volumeMl).toBeLessThan(1800);
    expect(mask.every((value) => value === 0 || value === 1)).toBe(true);
  });
});
