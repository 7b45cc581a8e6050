import { readFile } from 'node:fs/promises';
import type { StudyInput } from '../../imaging/analyses/analysis.js';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import { parseInstanceBytes } from '../../imaging/dicom/header.js';
import { number, text } from '../../imaging/dicom/attributes.js';
import { wrapImage } from '../../imaging/dicom/wrap-image.js';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { OutOfDistribution } from '../../imaging/report/finding.js';
import { AppError } from '../../kernel/errors.js';
import { derivedDicomUid } from '../../kernel/uid.js';
import type { Config } from '../../platform/config.js';
import { ComputePool } from '../../platform/compute/compute-pool.js';
import { createLogger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import type { ModelPack } from '../../platform/packs/model-pack.js';
import type { Dataset, Sample } from './dataset.js';

/** What the product says of one sample. */
export type Prediction =
  | { sample: Sample; kind: 'labels'; probabilities: ReadonlyMap<string, number>; outOfDistribution: OutOfDistribution | undefined }
  | { sample: Sample; kind: 'not-analysable'; code: string; detail: string };

/**
 * Sends every sample through what a run does: into a DICOM object, parsed, selected, decoded, prepared, inferred, concluded.
 * What the set does not know of its images (age, view) is taken as inside the model's domain.
 *
 * @param tell  called after each sample with how many are done
 */
export async function predict(dataset: Dataset, samples: readonly Sample[], pack: ModelPack, config: Config, tell: (done: number) => void): Promise<Prediction[]> {
  const compute = new ComputePool(config, createLogger('warn', {}, 2), new Metrics());
  const threads = new ImagingThreads({ threads: 1 });
  const manifest = withUnknowns(pack.manifest, dataset);
  const predictions = new Array<Prediction | undefined>(samples.length).fill(undefined);
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < samples.length; index = next++) {
      const sample = samples[index];
      if (!sample) continue;
      predictions[index] = await predictOne(sample, pack, manifest, compute, threads);
      tell(++done);
    }
  };
  try {
    // One more than there are threads, so that wrapping goes on while they compute.
    await Promise.all(Array.from({ length: config.WORKER_CONCURRENCY + 1 }, lane));
  } finally {
    await Promise.all([compute.close(), threads.close()]);
  }
  return predictions.filter((prediction) => prediction !== undefined);
}

async function predictOne(sample: Sample, pack: ModelPack, manifest: Manifest, compute: ComputePool, threads: ImagingThreads): Promise<Prediction> {
  try {
    const bytes = await dicomOf(sample, manifest, threads);
    const analysis = CATALOG[manifest.analysis];
    if (!analysis) throw new AppError('analysis-not-found');
    const study = studyOf(bytes);
    const selected = analysis.select(study, manifest);
    if (selected.kind === 'not-analysable') return { sample, kind: 'not-analysable', code: selected.code, detail: selected.detail };
    const { outcome } = await compute.run({ digest: pack.digest, manifest: pack.manifest, files: pack.files }, { series: selected.series, instances: selected.series.flatMap(({ frames }) => frames.map(({ sopInstanceUid }) => ({ sopInstanceUid, bytes }))) });
    if (outcome.kind === 'not-analysable') return { sample, kind: 'not-analysable', code: outcome.code, detail: outcome.detail };
    return { sample, kind: 'labels', probabilities: new Map(outcome.labels.map(({ name, probability }) => [name, probability])), outOfDistribution: outcome.outOfDistribution };
  } catch (error) {
    // What is wrong with an image is an answer; what is wrong with the model or the machine ends the evaluation.
    if (error instanceof AppError && error.status === 422) return { sample, kind: 'not-analysable', code: error.code, detail: error.message };
    throw error;
  }
}

async function dicomOf({ name, image, patientId, ageYears, sex, view }: Sample, { domain }: Manifest, threads: ImagingThreads): Promise<Uint8Array> {
  const file = 'file' in image ? await readFile(image.file) : undefined;
  if (file?.toString('latin1', 128, 132) === 'DICM') return file;
  const raster = 'file' in image ? await threads.readImage(file ?? new Uint8Array()) : image;
  return wrapImage(raster, {
    modality: domain.modalities[0] ?? 'DX', bodyPart: domain.bodyParts[0] ?? 'CHEST',
    studyInstanceUid: derivedDicomUid(`${name}/study`), seriesInstanceUid: derivedDicomUid(`${name}/series`), sopInstanceUid: derivedDicomUid(name),
    ...(patientId !== undefined && { patientId }), ...(ageYears !== undefined && { patientAge: ageYears }), ...(sex !== undefined && { patientSex: sex }), ...(view !== undefined && { viewPosition: view }),
  });
}

function studyOf(bytes: Uint8Array): StudyInput {
  const { attributes } = parseInstanceBytes(bytes);
  const value = (keyword: string): string => text(attributes, keyword) ?? '';
  return {
    series: [{
      seriesInstanceUid: value('SeriesInstanceUID'), modality: text(attributes, 'Modality') ?? null,
      instances: [{
        sopInstanceUid: value('SOPInstanceUID'), sopClassUid: value('SOPClassUID'), instanceNumber: number(attributes, 'InstanceNumber') ?? null,
        rows: number(attributes, 'Rows') ?? null, columns: number(attributes, 'Columns') ?? null, attributes,
      }],
    }],
  };
}

function withUnknowns(manifest: Manifest, { hasAges, hasViews }: Dataset): Manifest {
  return { ...manifest, domain: { ...manifest.domain, ...(!hasAges && { unknownAge: 'inside' }), ...(!hasViews && { unknownView: 'inside' }) } };
}
