import { z } from 'zod';
import { CommandError } from '../failure.js';
import { activeModels, analyse, type ActiveModel, type Outcome } from './analyses.js';
import type { Caller } from './caller.js';
import { Skipped, StepFailure, type Checklist } from './checklist.js';
import { credentialsOf, type CredentialOptions } from './credentials.js';
import { checkDerived } from './derived-check.js';
import type { Leavings } from './leavings.js';
import { phantomFor, type PhantomPlan, type PhantomStudy } from './phantoms.js';
import { store } from './stow.js';
import { checkTls } from './tls-check.js';
import { tryWebhook } from './webhook-loop.js';
import { newDicomUid } from '../../kernel/uid.js';

export interface SelftestOptions extends CredentialOptions {
  /** Names of analyses or of models; undefined for all. */
  analyses: readonly string[] | undefined;
  webhookListen: string | undefined;
  keep: boolean;
  /** For whatever is waited for. */
  timeoutMs: number;
}

export interface Selftest {
  caller: Caller;
  checklist: Checklist;
  leavings: Leavings;
  options: SelftestOptions;
  /** Ends early, with an error, when the self-test is interrupted. */
  wait: (ms: number) => Promise<void>;
}

const healthSchema = z.object({ status: z.literal('ok') });
const readySchema = z.object({ status: z.string(), details: z.record(z.string(), z.object({ status: z.string(), code: z.string().optional() })) });
const studySchema = z.object({ state: z.string(), instanceCount: z.number() });
const auditSchema = z.object({ items: z.array(z.object({ action: z.string() })) });

const AUDIT_PATIENCE_MS = 10_000;
const AGAIN_MS = 300;
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');

/** All steps but the clean-up, in their order. */
export async function runSteps(test: Selftest): Promise<void> {
  const { caller, checklist, leavings, options } = test;
  await checklist.step('health', [], async () => {
    await caller.json('/health', healthSchema);
    return { detail: caller.base };
  });
  await checklist.step('ready', ['health'], async () => ({ detail: await readiness(caller) }));
  await checklist.step('tls', ['health'], async () => ({ detail: await checkTls(caller.base, options.timeoutMs, caller.ca) }));
  await checklist.step('credentials', ['health'], () => signIn(test));
  await checklist.step('may clean up', ['credentials'], () => assertMayDelete(test));
  const models = await checklist.step('models', ['credentials'], async () => {
    const active = await activeModels(caller, options.analyses);
    return { detail: active.map(({ name }) => name).join(', ') || 'none of those that are active is wanted', made: active };
  }) ?? [];
  const studies = new Map<string, PhantomStudy>();
  await checklist.step('upload', ['may clean up'], () => upload(test, plansOf(models), studies));
  await checklist.step('study complete', ['upload'], () => complete(caller, [...studies.values()]));
  const outcomes: Outcome[] = [];
  for (const model of models) {
    const outcome = await checklist.step(`analysis ${model.name}`, ['study complete'], async () => {
      const study = typeof model.plan === 'string' ? undefined : studies.get(model.plan.key);
      if (!study) throw new Skipped(typeof model.plan === 'string' ? model.plan : 'There is no phantom for it.');
      return analyse(caller, model, study, options.timeoutMs, test.wait);
    });
    if (!outcome) continue;
    outcomes.push(outcome);
    leavings.addResults(outcome.study.studyInstanceUid);
  }
  await checklist.step('SR and SEG', ['study complete'], () => derived(test, outcomes));
  await checklist.step('pictures and PDF', ['study complete'], () => papers(caller, outcomes));
  await checklist.step('webhook loop', ['credentials'], async () => ({ detail: await tryWebhook(caller, leavings, { listen: options.webhookListen, timeoutMs: options.timeoutMs, wait: test.wait }) }));
  await checklist.step('audit trail', ['upload'], () => audited(test));
}

async function readiness(caller: Caller): Promise<string> {
  const { status, details } = await caller.json('/ready', readySchema, { accept: [503] });
  const parts = Object.entries(details).map(([name, part]) => `${name} ${part.status}${part.code === undefined ? '' : ` (${part.code})`}`).join(', ');
  if (status !== 'ok') throw new StepFailure('not-ready', `${parts}.`, 'See the log; a part that is down is a server that the installation cannot reach.');
  return parts;
}

/** What asks for least: a route that every role but the auditor's may see. */
async function signIn({ caller, leavings, options }: Selftest): Promise<{ detail: string }> {
  const credentials = await credentialsOf(caller, options);
  caller.authorize = credentials.authorize;
  if (credentials.kind === 'user and password') leavings.signOut = credentials.signOut;
  await caller.call('/api/v1/models?limit=1', { scope: 'models:read', accept: [403] });
  return { detail: credentials.kind };
}

/** Nothing is put there that could not be taken away again: asked by deleting a study that nobody has. */
async function assertMayDelete({ caller, options }: Selftest): Promise<{ detail: string }> {
  if (options.keep) return { detail: '--keep: what is made stays' };
  await caller.call(`/api/v1/studies/${newDicomUid()}`, { method: 'DELETE', scope: 'images:delete', accept: [404] });
  return { detail: 'images:delete' };
}

/** One study for all models that read the same phantom; an X-ray where no model asks for any. */
function plansOf(models: readonly ActiveModel[]): PhantomPlan[] {
  const plans = new Map(models.flatMap(({ plan }) => (typeof plan === 'string' ? [] : [[plan.key, plan] as const])));
  if (plans.size > 0) return [...plans.values()];
  const plain = phantomFor('chest-xray-classification', {});
  return typeof plain === 'string' ? [] : [plain];
}

async function upload({ caller, leavings, checklist }: Selftest, plans: readonly PhantomPlan[], studies: Map<string, PhantomStudy>): Promise<{ detail: string }> {
  let bytes = 0;
  for (const { key, make } of plans) {
    checklist.assertGoesOn();
    const study = make(leavings.patientId);
    leavings.addStudy(study.studyInstanceUid);
    bytes += await store(caller, study);
    leavings.answered(study.studyInstanceUid);
    studies.set(key, study);
  }
  const titles = [...studies.values()].map(({ title, objects }) => `${title} (${String(objects.length)})`).join(', ');
  return { detail: `${titles}, ${(bytes / 2 ** 20).toFixed(1)} MiB, of ${leavings.patientId}` };
}

async function complete(caller: Caller, studies: readonly PhantomStudy[]): Promise<{ detail: string }> {
  for (const { studyInstanceUid, objects } of studies) {
    await caller.call(`/api/v1/studies/${studyInstanceUid}/complete`, { method: 'POST', scope: 'images:write' });
    const { state, instanceCount } = await caller.json(`/api/v1/studies/${studyInstanceUid}`, studySchema, { scope: 'images:read' });
    if (state !== 'complete' || instanceCount < objects.length) throw new CommandError('study-incomplete', `The study is ${state} with ${String(instanceCount)} of ${String(objects.length)} instances.`);
  }
  return { detail: `${String(studies.length)} of ${String(studies.length)}` };
}

async function derived({ caller, leavings }: Selftest, outcomes: readonly Outcome[]): Promise<{ detail: string }> {
  if (outcomes.length === 0) throw new Skipped('There is no result.');
  const sum = { reports: 0, segmentations: 0 };
  for (const study of new Set(outcomes.map((outcome) => outcome.study))) {
    const { reports, segmentations } = await checkDerived(caller, study, leavings.patientId);
    const results = outcomes.filter((outcome) => outcome.study === study).length;
    if (reports < results) throw new CommandError('derived-object-missing', `The study has ${String(reports)} SR for ${String(results)} results.`);
    sum.reports += reports;
    sum.segmentations += segmentations;
  }
  return { detail: `${String(sum.reports)} SR, ${String(sum.segmentations)} SEG, by WADO-RS` };
}

async function papers(caller: Caller, outcomes: readonly Outcome[]): Promise<{ detail: string }> {
  if (outcomes.length === 0) throw new Skipped('There is no result.');
  let bytes = 0;
  for (const { resultId } of outcomes) {
    const picture = await caller.call(`/api/v1/results/${resultId}/preview.png`, { scope: 'results:read' });
    const report = await caller.call(`/api/v1/results/${resultId}/report.pdf`, { scope: 'results:read' });
    if (!PNG.equals(picture.bytes.subarray(0, PNG.length))) throw new CommandError('picture-wrong', 'What came is no PNG.');
    if (Buffer.from(report.bytes.subarray(0, 5)).toString() !== '%PDF-') throw new CommandError('report-wrong', 'What came is no PDF.');
    bytes += picture.bytes.length + report.bytes.length;
  }
  return { detail: `${String(outcomes.length)} of each, ${String(Math.round(bytes / 1024))} KiB` };
}

/** Every call that changed something is on record, by its request id. */
async function audited({ caller, wait }: Selftest): Promise<{ detail: string }> {
  const changes = [...caller.changes];
  for (const requestId of changes) {
    for (const until = performance.now() + AUDIT_PATIENCE_MS; ;) {
      const { items } = await caller.json(`/api/v1/audit-events?requestId=${requestId}`, auditSchema, { scope: 'audit:read' });
      if (items.length > 0) break;
      if (performance.now() > until) throw new StepFailure('not-on-record', `The call ${requestId} is not in the audit trail.`, 'Look for "audit" in the log. Does a proxy replace X-Request-Id?');
      await wait(AGAIN_MS);
    }
  }
  return { detail: `all ${String(changes.length)} calls that change something` };
}
