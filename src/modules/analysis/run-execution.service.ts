import { Injectable } from '@nestjs/common';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import type { Conclusion, NotAnalysable, Selected } from '../../imaging/analyses/analysis.js';
import type { RunReport } from '../../imaging/analyses/run.js';
import type { AnalysisName } from '../../imaging/model/manifest.js';
import { AppError } from '../../kernel/errors.js';
import { uuidv7 } from '../../kernel/uid.js';
import { isCritical } from '../../imaging/report/critical.js';
import { inputDigestOf } from '../../imaging/report/input-digest.js';
import { sourceFacts, type SourceFacts } from '../../imaging/report/source-facts.js';
import { ComputePool } from '../../platform/compute/compute-pool.js';
import type { ComputeRunResult } from '../../platform/compute/compute-protocol.js';
import { VERSION } from '../../platform/version.js';
import { StudyReader, type StoredInstance, type StoredStudy } from '../images/images.contract.js';
import type { NewResult, ReadInstance } from '../results/results.contract.js';
import { CriticalRulesStore } from './critical/critical-rules.store.js';
import type { InstalledModel } from './models/model-folder.js';
import { ModelsService } from './models/models.service.js';
import type { RunLease } from './run-lease.js';
import { restricted } from './runs.service.js';
import type { RunRow } from './runs.store.js';

/** An instance of a study, in its series. */
type Known = StoredInstance & { seriesInstanceUid: string };

/** Instances of a study that are read at a time. */
const READ_AT_ONCE = 8;

export type Timings = Record<string, number>;

export type Outcome = { kind: 'result'; result: NewResult; timings: Timings } | (NotAnalysable & { timings: Timings });

/** From a claimed run to what it found: read → select → compute. Changes nothing. */
@Injectable()
export class RunExecution {
  constructor(
    private readonly models: ModelsService,
    private readonly studies: StudyReader,
    private readonly compute: ComputePool,
    private readonly criticalRules: CriticalRulesStore,
  ) {}

  /** @throws AppError `study-deleted`, `model-files-missing`, `model-load-failed`, `model-output-invalid` and those of the pool; RunStopped */
  async execute(run: RunRow, lease: RunLease): Promise<Outcome> {
    const startedAt = new Date();
    const started = performance.now();
    lease.progress('read', 0);
    const model = await this.models.find(run.modelDigest);
    const analysis = CATALOG[run.analysis as AnalysisName]; // checked when the run was made; undefined for a newer product's
    if (!model || !analysis) throw new AppError('model-files-missing', { detail: 'No worker that took the run has the files of its model in MODELS_DIR, or knows its analysis' });
    const stored = await this.studies.findById(run.institutionId, run.studyId);
    if (!stored) throw new AppError('study-deleted');
    const study = restricted(stored, run.seriesInstanceUids);
    const selected = analysis.select(study, model.manifest);
    if (selected.kind === 'not-analysable') return { ...selected, timings: { read: since(started) } };
    const instances = await this.read(run, study, selected);
    const read = since(started);
    lease.between();
    const { outcome, timings, executionProvider } = await this.compute.run(model, { series: selected.series, instances: instances.map(({ instance: { sopInstanceUid }, bytes }) => ({ sopInstanceUid, bytes })) }, {
      reduced: run.attempts > 1, signal: lease.signal, onProgress: (stage, done) => { lease.progress(stage, done); },
    });
    lease.between();
    const all = { read, ...timings };
    if (outcome.kind === 'not-analysable') return { ...outcome, timings: all };
    const critical = await this.isCritical(run, model, outcome);
    return { kind: 'result', timings: all, result: this.resultOf(run, model, instances.map(({ instance }) => instance), { ...outcome, summary: { ...outcome.summary, critical } }, { executionProvider, startedAt, details: { selection: selectionOf(selected), ...sourceOf(instances, selected), ...outcome.details } }) };
  }

  /** By the rules of the institution, as they are when the result is there. */
  private async isCritical({ institutionId }: RunRow, { manifest }: InstalledModel, { findings, labels }: Pick<Conclusion, 'findings' | 'labels'>): Promise<boolean> {
    const { rules } = await this.criticalRules.find(institutionId);
    return isCritical({ findings, labels, criticalLabels: manifest.labels.filter(({ critical }) => critical).map(({ name }) => name) }, rules);
  }

  private async read(run: RunRow, study: StoredStudy, { series: selected }: Selected): Promise<{ instance: Known; bytes: Uint8Array }[]> {
    const instances = new Map(study.series.flatMap(({ seriesInstanceUid, instances: all }) => all.map((instance): [string, Known] => [instance.sopInstanceUid, { ...instance, seriesInstanceUid }])));
    const names = [...new Set(selected.flatMap(({ frames }) => frames.map(({ sopInstanceUid }) => sopInstanceUid)))];
    const read: { instance: Known; bytes: Uint8Array }[] = [];
    for (let at = 0; at < names.length; at += READ_AT_ONCE) read.push(...(await Promise.all(names.slice(at, at + READ_AT_ONCE).map((name) => this.readOne(run, instances.get(name))))));
    return read;
  }

  private async readOne(run: RunRow, instance: Known | undefined): Promise<{ instance: Known; bytes: Uint8Array }> {
    if (!instance) throw new AppError('internal', { detail: 'An analysis picked an instance that the study does not have' });
    try {
      return { instance, bytes: await this.studies.readInstance(instance.blobKey) };
    } catch (error) {
      // The study may have been deleted since it was read, and its bytes with it.
      if (error instanceof AppError && error.code === 'blob-missing' && !(await this.studies.findById(run.institutionId, run.studyId))) throw new AppError('study-deleted', { cause: error });
      throw error;
    }
  }

  private resultOf(run: RunRow, { manifest, digest }: InstalledModel, instances: readonly Known[], conclusion: Extract<ComputeRunResult['outcome'], { kind: 'concluded' }>, { executionProvider, startedAt, details }: { executionProvider: RunReport['executionProvider']; startedAt: Date; details: Record<string, unknown> }): NewResult {
    const { summary, findings, labels, segments, keyImage, heatMaps, segmentation, outOfDistribution } = conclusion;
    const keyInstance = instances.find(({ sopInstanceUid }) => sopInstanceUid === keyImage?.sopInstanceUid);
    return {
      institutionId: run.institutionId, analysisId: run.id, studyId: run.studyId, studyInstanceUid: run.studyInstanceUid, analysis: run.analysis,
      summary, labels, segments, heatMaps, segmentation,
      instances: instances.map(({ id, sopInstanceUid, sopClassUid, seriesInstanceUid, attributes }): ReadInstance => ({ id, sopInstanceUid, sopClassUid, seriesInstanceUid, attributes })),
      findings: findings.map((finding) => ({ id: uuidv7(), ...finding })),
      provenance: {
        model: { name: manifest.name, version: manifest.version, digest, intendedUse: manifest.intendedUse, domain: domainOf(manifest) }, software: VERSION, inputDigest: inputDigestOf(instances), executionProvider, ...(outOfDistribution && { outOfDistribution }),
        startedAt: startedAt.toISOString(), finishedAt: new Date().toISOString(), details,
      },
      keyImage: keyImage && keyInstance ? { ...keyImage, blobKey: keyInstance.blobKey } : null,
    };
  }
}

/** What a reader of a report must know: for whom the model was made. */
function domainOf({ domain: { modalities, bodyParts, ageYears } }: InstalledModel['manifest']): NonNullable<NewResult['provenance']['model']['domain']> {
  return { modalities, bodyParts, ...(ageYears && { ageYears }) };
}

/** Which series was read as what, and why the others were not. */
function selectionOf({ series, passedOver }: Selected): unknown {
  return { series: series.map(({ role, seriesInstanceUid, frames, reason }) => ({ role, seriesInstanceUid, frames: frames.length, reason })), passedOver };
}

/** Of the first image that was read. */
function sourceOf([first]: readonly { instance: StoredInstance }[], { series }: Selected): { source?: SourceFacts } {
  return first ? { source: sourceFacts(first.instance.attributes, series.reduce((sum, { frames }) => sum + frames.length, 0)) } : {};
}

function since(started: number): number {
  return Math.round((performance.now() - started) * 100) / 100;
}
