import { z } from 'zod';
import { CommandError } from '../failure.js';
import type { Caller } from './caller.js';
import { Skipped, StepFailure } from './checklist.js';
import { phantomFor, type Domain, type PhantomPlan, type PhantomStudy } from './phantoms.js';

const modelsSchema = z.object({
  items: z.array(z.object({
    name: z.string(), version: z.string(), analysis: z.string(), state: z.string(), reason: z.object({ code: z.string(), detail: z.string() }).optional(),
    domain: z.object({ modalities: z.array(z.string()).optional(), viewPositions: z.array(z.string()).optional(), ageYears: z.object({ min: z.number(), max: z.number() }).optional() }).nullable(),
  })),
  nextCursor: z.string().nullable(),
});
const runSchema = z.object({
  id: z.uuid(), status: z.enum(['queued', 'running', 'succeeded', 'not-analysable', 'failed', 'cancelled']), stage: z.string(), progress: z.number(), resultId: z.string().nullish(),
  reason: z.object({ code: z.string(), detail: z.string().nullish() }).nullish(),
});
type Run = z.infer<typeof runSchema>;
const resultSchema = z.object({ id: z.uuid(), studyInstanceUid: z.string(), status: z.string(), summary: z.object({ text: z.string() }), provenance: z.object({ executionProvider: z.string() }) });

export interface ActiveModel {
  /** `name@version` */
  name: string;
  analysis: string;
  plan: PhantomPlan | string;
}

export interface Outcome {
  study: PhantomStudy;
  resultId: string;
}

const AGAIN_MS = 300;
const WORKER_ADVICE = 'Is a process with APP_ROLE=worker (or all) running that consumes the queue? See GET /ready of it, and its log. Behind a long queue it takes longer: --timeout.';

/**
 * The models that serve, with a phantom for each.
 *
 * @param wanted  names of analyses or of models; undefined for all
 * @throws StepFailure when none is active
 */
export async function activeModels(caller: Caller, wanted: readonly string[] | undefined): Promise<ActiveModel[]> {
  const all: z.infer<typeof modelsSchema>['items'] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: z.infer<typeof modelsSchema> = await caller.json(`/api/v1/models?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, modelsSchema, { scope: 'models:read' });
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  const active = all.filter(({ state }) => state === 'active');
  if (active.length === 0) {
    const states = all.map(({ name, version, state, reason }) => `${name}@${version} is ${state}${reason ? ` (${reason.code})` : ''}`).join(', ');
    if (all.length === 0 || all.some(({ state }) => state === 'checking')) throw new StepFailure('no-active-model', `No model serves: ${states === '' ? 'no worker has read MODELS_DIR yet' : states}.`, WORKER_ADVICE);
    throw new StepFailure('no-active-model', `No model serves: ${states}.`, 'Activate one: `healthvision models activate name@version`.');
  }
  return active.filter(({ name, analysis }) => wanted === undefined || wanted.includes(analysis) || wanted.includes(name)).map(({ name, version, analysis, domain }) => ({ name: `${name}@${version}`, analysis, plan: phantomFor(analysis, domainOf(domain)) }));
}

function domainOf(domain: Domain | null): Domain {
  return domain ?? {};
}

/** Has a model read a study, and waits for its result. @throws Skipped for a model that does not read the phantom */
export async function analyse(caller: Caller, model: ActiveModel, study: PhantomStudy, timeoutMs: number, wait: (ms: number) => Promise<void>): Promise<{ detail: string; made: Outcome }> {
  const { id } = await caller.post('/api/v1/analyses', runSchema, 'analyses:create', { analysis: model.analysis, studyInstanceUid: study.studyInstanceUid, model: model.name });
  const { status, reason, resultId } = await ended(caller, id, timeoutMs, wait);
  const because = reason ? `${reason.code}: ${reason.detail ?? ''}` : 'it says no reason';
  if (status === 'not-analysable') throw new Skipped(`The model does not read the phantom (${because}).`);
  if (status !== 'succeeded' || resultId === undefined || resultId === null) throw new StepFailure(`analysis-${status}`, `The analysis ${status === 'succeeded' ? 'left no result' : status} (${because}).`, `The log of the worker says more; the analysis is ${id}.`);
  const result = await caller.json(`/api/v1/results/${resultId}`, resultSchema, { scope: 'results:read' });
  if (result.studyInstanceUid !== study.studyInstanceUid) throw new CommandError('result-wrong', 'The result is of another study.');
  if (result.status === 'withheld') throw new StepFailure('result-withheld', 'The result was withheld: its SR or SEG did not pass the checks.', `GET /api/v1/results/${resultId} says which.`);
  return { detail: `${result.summary.text} (${result.provenance.executionProvider})`, made: { study, resultId } };
}

async function ended(caller: Caller, id: string, timeoutMs: number, wait: (ms: number) => Promise<void>): Promise<Run> {
  for (const until = performance.now() + timeoutMs; ;) {
    const run = await caller.json(`/api/v1/analyses/${id}`, runSchema, { scope: 'analyses:read' });
    if (run.status !== 'queued' && run.status !== 'running') return run;
    if (performance.now() > until) {
      if (run.status === 'queued') throw new StepFailure('no-worker', `No worker has taken the analysis within ${String(timeoutMs / 1000)} s.`, WORKER_ADVICE);
      throw new StepFailure('time-limit', `The analysis is at "${run.stage}" (${String(Math.round(run.progress * 100))} %) after ${String(timeoutMs / 1000)} s.`, 'Give it more time with --timeout, or see what the worker is busy with.');
    }
    await wait(AGAIN_MS);
  }
}
