import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CATALOG } from '../../../imaging/analyses/catalog.js';
import type { StudyInput } from '../../../imaging/analyses/analysis.js';
import { parseManifest, type AnalysisName, type Manifest } from '../../../imaging/model/manifest.js';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { ModelCache } from './model-cache.service.js';
import { ModelChoicesStore } from './model-choices.store.js';
import { readModelFolders, type FolderReading, type InstalledModel } from './model-folder.js';
import { ModelsStore, type ModelRow } from './models.store.js';

/** The models of this process: what lies in MODELS_DIR or was uploaded, and which one serves a study. */
@Injectable()
export class ModelsService implements OnModuleInit {
  private readonly installed = new Map<string, InstalledModel>();

  constructor(
    private readonly store: ModelsStore,
    private readonly choices: ModelChoicesStore,
    private readonly cache: ModelCache,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.scan();
  }

  /**
   * A model whose files this process has, those of an uploaded one brought here first; undefined when it is not to be had.
   * @throws AppError of the blob store
   */
  async find(digest: string): Promise<InstalledModel | undefined> {
    return this.installed.get(digest) ?? (await this.cache.fetch(digest));
  }

  /** Of MODELS_DIR. */
  all(): InstalledModel[] {
    return [...this.installed.values()];
  }

  /** Reads MODELS_DIR and makes the database say what is there. A broken pack is logged and listed as rejected. */
  async scan(): Promise<void> {
    this.installed.clear();
    const names = new Map<string, string>();
    for (const reading of await this.read()) {
      if (reading.kind !== 'installed') this.logger.warn({ folder: reading.folder, reason: reading.reason }, 'model pack rejected');
      if (reading.kind === 'unreadable') continue;
      const { name, version } = reading.kind === 'installed' ? reading.model.manifest : reading;
      const twin = names.get(`${name}@${version}`);
      if (twin !== undefined) {
        this.logger.warn({ folder: reading.folder, twin, model: name, version }, 'model pack ignored: another folder has this name and version');
        continue;
      }
      names.set(`${name}@${version}`, reading.folder);
      if (!(await this.record(reading))) this.logger.warn({ folder: reading.folder, model: name, version }, 'model pack ignored: another one with this name and version was uploaded');
    }
  }

  /**
   * The model that a caller asked for, or the active one that fits the study.
   *
   * @param asked  `name` (the active version, else the newest that passed its checks) or `name@version`
   * @throws AppError `model-not-found`, `model-rejected`, `model-mismatch`, `no-active-model`
   */
  async choose(institutionId: string, analysis: AnalysisName, study: StudyInput, asked: string | undefined): Promise<ModelRow> {
    if (asked === undefined) {
      const active = await this.serving(institutionId, analysis);
      const model = CATALOG[analysis] && (this.bestOf(analysis, study, active) ?? active[0]);
      if (!model) throw new AppError('no-active-model');
      return model;
    }
    const model = await this.named(asked);
    if (!model) throw new AppError('model-not-found');
    if (model.state === 'rejected') throw new AppError('model-rejected', { detail: 'GET /models shows the reason.' });
    if (model.analysis !== analysis) throw new AppError('model-mismatch', { detail: `The model is for ${model.analysis}.` });
    return model;
  }

  /** For each analysis the active model to plan a study with; none when modality and body part are no active model's. */
  async planned(institutionId: string, analyses: readonly AnalysisName[], study: StudyInput): Promise<ReadonlyMap<AnalysisName, ModelRow>> {
    const serving = await this.servingEach(institutionId, analyses);
    return new Map(analyses.flatMap((analysis) => {
      const best = this.bestOf(analysis, study, serving.get(analysis) ?? []);
      return best ? [[analysis, best] as const] : [];
    }));
  }

  /** Models that run in the shadow of `served` on a study which they fit. */
  async shadowsOf(served: ModelRow, study: StudyInput): Promise<ModelRow[]> {
    const analysis = served.analysis as AnalysisName; // a model that serves is of an analysis that there is
    const code = CATALOG[analysis];
    if (!code) return [];
    const shadows = (await this.store.inState([analysis], 'shadow')).filter(({ id }) => id !== served.id);
    return shadows.flatMap((model) => this.withManifest(model)).filter(({ manifest }) => code.fits(study, manifest)).map(({ model }) => model);
  }

  /** Active models, but for each analysis and domain the one that the institution has chosen, where it has. */
  async serving(institutionId: string, analysis: AnalysisName): Promise<ModelRow[]> {
    return (await this.servingEach(institutionId, [analysis])).get(analysis) ?? [];
  }

  private async servingEach(institutionId: string, analyses: readonly AnalysisName[]): Promise<ReadonlyMap<string, ModelRow[]>> {
    if (analyses.length === 0) return new Map();
    const [active, ids] = await Promise.all([this.store.inState(analyses, 'active'), this.choices.chosen(institutionId, analyses)]);
    const chosen = ids.length === 0 ? [] : await this.store.ofIds(ids);
    return new Map(analyses.map((analysis) => {
      const own = chosen.filter((model) => model.analysis === analysis);
      const taken = new Set(own.map(domainOf));
      return [analysis, [...own, ...active.filter((model) => model.analysis === analysis && !taken.has(domainOf(model)))]];
    }));
  }

  /** A model that finds an image before one that only fits by modality and body part. */
  private bestOf(analysis: AnalysisName, study: StudyInput, models: readonly ModelRow[]): ModelRow | undefined {
    const code = CATALOG[analysis];
    if (!code) return undefined;
    const fitting = models.flatMap((model) => this.withManifest(model)).filter(({ manifest }) => code.fits(study, manifest));
    return (fitting.find(({ manifest }) => code.select(study, manifest).kind === 'selected') ?? fitting[0])?.model;
  }

  /** Empty for a row of a product that knew other manifests. */
  private withManifest(model: ModelRow): { model: ModelRow; manifest: Manifest }[] {
    try {
      return [{ model, manifest: parseManifest(model.manifest) }];
    } catch (err) {
      this.logger.warn({ err, model: model.name, version: model.version }, 'the stored manifest of a model cannot be read');
      return [];
    }
  }

  private async named(asked: string): Promise<ModelRow | undefined> {
    const [name = '', version] = asked.split('@', 2);
    if (version !== undefined) return (await this.store.find(name, version)) ?? undefined;
    const versions = (await this.store.versions(name)).sort((a, b) => bySemver(b.version, a.version));
    return ['active', 'available', 'shadow', 'checking'].map((state) => versions.find((model) => model.state === state)).find((model) => model !== undefined) ?? versions[0];
  }

  private async read(): Promise<FolderReading[]> {
    try {
      return await readModelFolders(this.config.modelsDir, { signers: this.config.MODEL_SIGNERS ?? [], required: this.config.MODEL_SIGNATURE_REQUIRED });
    } catch (err) {
      this.logger.warn({ err, modelsDir: this.config.modelsDir }, 'MODELS_DIR cannot be read: no models');
      return [];
    }
  }

  /** false when the place is taken by an uploaded model. */
  private async record(reading: Exclude<FolderReading, { kind: 'unreadable' }>): Promise<boolean> {
    if (reading.kind === 'rejected') {
      const { name, version, analysis, recipe, digest, manifest, reason } = reading;
      return (await this.store.upsert({ name, version, analysis, recipe, digest, manifest, reason, signedBy: null })) !== null;
    }
    const { manifest, digest } = reading.model;
    const { name, version, analysis, recipe } = manifest;
    const row = await this.store.upsert({ name, version, analysis, recipe, digest, manifest, reason: null, signedBy: reading.signedBy });
    if (row) this.installed.set(digest, reading.model);
    return row !== null;
  }
}

/** JSONB gives the keys in one order. */
function domainOf({ manifest }: ModelRow): string {
  return JSON.stringify((manifest as { domain?: unknown } | null)?.domain); // of a stored manifest, whatever it is
}

/** Semantic Versioning 2.0.0 §11, without comparing the identifiers of pre-releases one by one. */
export function bySemver(a: string, b: string): number {
  const [coreA = '', preA] = a.split(/-(.*)/s);
  const [coreB = '', preB] = b.split(/-(.*)/s);
  const [partsA, partsB] = [coreA.split('.').map(Number), coreB.split('.').map(Number)];
  for (let i = 0; i < 3; i++) if ((partsA[i] ?? 0) !== (partsB[i] ?? 0)) return (partsA[i] ?? 0) - (partsB[i] ?? 0);
  if (preA === preB) return 0;
  if (preA === undefined) return 1;
  if (preB === undefined) return -1;
  return preA < preB ? -1 : 1;
}
