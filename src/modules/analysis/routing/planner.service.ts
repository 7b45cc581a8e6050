import { Injectable } from '@nestjs/common';
import { ANALYSES, CATALOG } from '../../../imaging/analyses/catalog.js';
import { parseManifest, type AnalysisName } from '../../../imaging/model/manifest.js';
import { AppError } from '../../../kernel/errors.js';
import type { StoredStudy } from '../../images/images.contract.js';
import { ModelsService } from '../models/models.service.js';
import type { ModelRow } from '../models/models.store.js';
import { evaluateRules, type Evaluation } from './evaluate.js';
import type { Priority } from './rule.js';
import { RoutingRulesStore } from './routing-rules.store.js';

/** What becomes of one analysis of a study. */
export interface Planned {
  analysis: AnalysisName;
  priority: Priority;
  /** The rule that wants it; null when no rule is enabled. */
  ruleId: string | null;
  /** undefined: it is not planned, for the reason in `skipped`. */
  model: ModelRow | undefined;
  skipped: { code: string; detail: string } | undefined;
}

export interface StudyPlan {
  /** false: no rule is enabled, so every analysis that fits is planned. */
  byRules: boolean;
  evaluations: Evaluation[];
  planned: Planned[];
}

/** Which analyses a study gets, by the rules of its institution. */
@Injectable()
export class Planner {
  constructor(
    private readonly rules: RoutingRulesStore,
    private readonly models: ModelsService,
  ) {}

  /** Reads only. */
  async plan(study: StoredStudy): Promise<StudyPlan> {
    const { evaluations, wanted } = evaluateRules(await this.rules.list(study.institutionId), study);
    const wishes = wanted ?? ANALYSES.map(({ name }) => ({ analysis: name, model: undefined, priority: 'routine' as const, ruleId: null }));
    const active = await this.models.planned(study.institutionId, [...new Set(wishes.filter(({ model }) => model === undefined).map(({ analysis }) => analysis))], study);
    const planned: Planned[] = [];
    for (const { analysis, model: asked, priority, ruleId } of wishes) {
      planned.push({ analysis, priority, ruleId, ...(asked === undefined ? served(active.get(analysis)) : await this.named(study, analysis, asked)) });
    }
    return { byRules: wanted !== undefined, evaluations, planned };
  }

  private async named(study: StoredStudy, analysis: AnalysisName, asked: string): Promise<Pick<Planned, 'model' | 'skipped'>> {
    try {
      const model = await this.models.choose(study.institutionId, analysis, study, asked);
      if (CATALOG[analysis]?.fits(study, parseManifest(model.manifest)) === true) return { model, skipped: undefined };
      return { model: undefined, skipped: { code: 'outside-model-domain', detail: `${model.name}@${model.version} is not for the modality and body part of the study.` } };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { model: undefined, skipped: { code: error.code, detail: error.message } };
    }
  }
}

function served(model: ModelRow | undefined): Pick<Planned, 'model' | 'skipped'> {
  return { model, skipped: model ? undefined : { code: 'no-active-model', detail: 'No active model of this analysis is for the modality and body part of the study.' } };
}
