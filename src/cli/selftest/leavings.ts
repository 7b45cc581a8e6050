import { z } from 'zod';
import type { Caller } from './caller.js';
import { StepFailure } from './checklist.js';

const webhooksSchema = z.object({ items: z.array(z.object({ id: z.string(), description: z.string() })), nextCursor: z.string().nullable() });
const foundSchema = z.array(z.unknown());
const resultsSchema = z.object({ items: z.array(z.unknown()) });

/** An upload whose answer was lost may be committed a moment after. */
const LATE_MS = 1_000;
const MOST_LOOKS = 5;
const RESULTS_PATIENCE_MS = 15_000;

/** What a self-test has left in an installation, known before it is there. */
export class Leavings {
  private readonly studies = new Set<string>();
  private readonly webhooks = new Set<string>();
  /** Of uploads whose answer has not come. */
  private readonly unanswered = new Set<string>();
  /** Studies that have results, which a worker removes after the study. */
  private readonly analysed = new Set<string>();
  private isWebhookExpected = false;
  signOut: (() => Promise<void>) | undefined;

  /** @param description  of webhooks, by which one is found whose id was never heard */
  constructor(readonly patientId: string, readonly description: string) {}

  /** To be called before it is sent. */
  addStudy(studyInstanceUid: string): void {
    this.studies.add(studyInstanceUid);
    this.unanswered.add(studyInstanceUid);
  }

  answered(studyInstanceUid: string): void {
    this.unanswered.delete(studyInstanceUid);
  }

  addResults(studyInstanceUid: string): void {
    this.analysed.add(studyInstanceUid);
  }

  expectWebhook(): void {
    this.isWebhookExpected = true;
  }

  addWebhook(id: string): void {
    this.webhooks.add(id);
    this.isWebhookExpected = false;
  }

  /** They are not removed. */
  keepStudies(): void {
    this.studies.clear();
    this.unanswered.clear();
  }

  get isEmpty(): boolean {
    return this.studies.size === 0 && this.webhooks.size === 0 && !this.isWebhookExpected && this.signOut === undefined;
  }

  get names(): string[] {
    return [...[...this.studies].map((uid) => `study ${uid}`), ...[...this.webhooks].map((id) => `webhook ${id}`)];
  }

  /** Removes what can be, and forgets it. @throws StepFailure that names what is left */
  async remove(caller: Caller): Promise<string> {
    const faults: string[] = [];
    const counts = { studies: this.studies.size, webhooks: 0 };
    const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      await work().catch((error: unknown) => { faults.push(`${what} (${error instanceof Error ? error.message : String(error)})`); });
    };
    if (this.isWebhookExpected) await attempt('a webhook', () => this.findWebhooks(caller));
    counts.webhooks = this.webhooks.size;
    for (const id of [...this.webhooks]) {
      await attempt(`webhook ${id}`, async () => {
        await caller.call(`/api/v1/webhooks/${id}`, { method: 'DELETE', scope: 'webhooks:write', accept: [404] });
        this.webhooks.delete(id);
      });
    }
    if (this.unanswered.size > 0) await new Promise((resolve) => setTimeout(resolve, LATE_MS));
    for (const uid of [...this.studies]) {
      await attempt(`study ${uid}`, async () => {
        await caller.call(`/api/v1/studies/${uid}`, { method: 'DELETE', scope: 'images:delete', accept: [404] });
      });
    }
    if (counts.studies > 0) await attempt(`studies of the patient ${this.patientId}`, () => this.assertGone(caller));
    for (const uid of this.studies.size > 0 ? this.analysed : []) await attempt(`results of the study ${uid}`, () => this.assertNoResults(caller, uid));
    if (faults.length === 0) this.studies.clear();
    if (this.signOut) {
      await attempt('the sign-in', this.signOut);
      this.signOut = undefined;
    }
    if (faults.length > 0) throw new StepFailure('left-behind', `Not removed: ${faults.join('; ')}.`, `Remove it by hand: studies of the Patient ID ${this.patientId} with DELETE /api/v1/studies/{uid}, webhooks called "${this.description}" with DELETE /api/v1/webhooks/{id}.`);
    return `${String(counts.studies)} ${counts.studies === 1 ? 'study' : 'studies'}, ${String(counts.webhooks)} ${counts.webhooks === 1 ? 'webhook' : 'webhooks'} deleted; nothing of ${this.patientId} is left`;
  }

  private async findWebhooks(caller: Caller): Promise<void> {
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: z.infer<typeof webhooksSchema> = await caller.json(`/api/v1/webhooks?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, webhooksSchema, { scope: 'webhooks:read' });
      for (const { id, description } of page.items) if (description === this.description) this.webhooks.add(id);
      cursor = page.nextCursor;
    }
    this.isWebhookExpected = false;
  }

  private async assertNoResults(caller: Caller, studyInstanceUid: string): Promise<void> {
    for (const until = performance.now() + RESULTS_PATIENCE_MS; ;) {
      const { items } = await caller.json(`/api/v1/results?studyInstanceUid=${studyInstanceUid}`, resultsSchema, { scope: 'results:read' });
      if (items.length === 0) return;
      if (performance.now() > until) throw new Error('a worker removes them, and none has yet');
      await new Promise((resolve) => setTimeout(resolve, LATE_MS / 4));
    }
  }

  /** Looks again where something has come late. */
  private async assertGone(caller: Caller): Promise<void> {
    for (let look = 1; ; look++) {
      const found = await caller.json(`/dicom-web/studies?PatientID=${encodeURIComponent(this.patientId)}`, foundSchema, { scope: 'images:read', headers: { accept: 'application/dicom+json' } });
      if (found.length === 0) return;
      if (look === MOST_LOOKS) throw new Error(`QIDO-RS still finds ${String(found.length)}`);
      await new Promise((resolve) => setTimeout(resolve, LATE_MS));
      for (const uid of this.studies) await caller.call(`/api/v1/studies/${uid}`, { method: 'DELETE', scope: 'images:delete', accept: [404] });
    }
  }
}
