import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { wrapImage } from '../../src/imaging/dicom/wrap-image.js';
import { newDicomUid, uuidv7 } from '../../src/kernel/uid.js';
import { INSTALLATION } from '../../src/platform/audit/audit-event.js';
import { ADMIN, eventually } from '../support/product.js';
import { CPU_TAKEN, RESERVE_BYTES, type MonitoringHouse } from './monitoring-house.js';

const AUDITOR = { username: 'auditor@hospital.test', password: 'reads what others did, and why' };
const NODULE = { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' };

const json = (method: string, body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });

/** So many times the cores of its container a process took just before: for some seconds that is more than 85 %. */
const CPU_USED = 1.3;
const CONTAINER_BYTES = 2 ** 30;
const BALLAST = 0.94;

/** What is provoked in the order of time; each part says which alerts it is the cause of. */
export class Provocations {
  private institutionId = '';

  constructor(private readonly house: MonitoringHouse) {}

  async prepare(): Promise<void> {
    this.institutionId = (await this.house.sql<{ id: string }>('SELECT institution_id AS id FROM users LIMIT 1'))[0]?.id ?? '';
  }

  /** Systems that want to hear of results and do not answer: WebhooksDisabled, WebhooksFailing, DestinationsFailing, EscalationExhausted, EscalationsOpen, MailsFailing. */
  async subscribe(): Promise<void> {
    const { api, receiver } = this.house;
    const base = new URL(receiver.url).origin;
    for (const path of ['/gone', '/broken']) await api.json('/api/v1/webhooks', json('POST', { url: `${base}${path}`, events: ['analysis.succeeded', 'result.ready', 'result.critical'] }));
    await api.json('/api/v1/destinations', json('POST', { name: 'PACS', target: { kind: 'stow', url: 'http://127.0.0.1:1/dicom-web' } }));
    await api.json('/api/v1/escalation-chain', json('PUT', { steps: [{ afterMinutes: 0, recipients: [{ role: 'platform-admin' }, { role: 'admin' }], channels: ['email'] }] }));
  }

  /** @returns study instance UIDs of X-rays of this brightness */
  async send(count: number, { grey, side }: { grey: number; side: number }): Promise<string[]> {
    const studies = Array.from({ length: count }, () => newDicomUid());
    const parts = studies.map((studyInstanceUid, index) => {
      const rows = side + (index % 2) * 2;
      const pixels = Uint8Array.from({ length: rows * rows }, (_, i) => grey + ((i + index) % 23));
      return Buffer.concat([Buffer.from('--x\r\nContent-Type: application/dicom\r\n\r\n'), wrapImage({ pixels, width: rows, height: rows, channels: 1, bits: 8 }, {
        modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA', patientAge: 40, patientId: `M${String(grey)}-${String(index)}`, studyInstanceUid, seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid(),
      }), Buffer.from('\r\n')]);
    });
    const response = await this.house.api.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=x' }, body: Buffer.concat([...parts, Buffer.from('--x--\r\n')]) });
    if (response.status !== 200) throw new Error(`${String(response.status)} ${await response.text()}`);
    return studies;
  }

  async complete(studies: readonly string[]): Promise<void> {
    await Promise.all(studies.map((study) => this.house.api.json(`/api/v1/studies/${study}/complete`, { method: 'POST' })));
  }

  async analysed(studies: readonly string[]): Promise<void> {
    await eventually('analyses to end', async () => {
      const [row] = await this.house.sql<{ ended: number }>(`SELECT count(*)::int AS ended FROM analysis_runs WHERE study_instance_uid = ANY ($1) AND status IN ('succeeded', 'failed')`, [studies]);
      return row?.ended === studies.length;
    }, 60_000);
  }

  /** CompletionRateLow: their bytes are gone. */
  async loseBlobs(studies: readonly string[]): Promise<void> {
    const rows = await this.house.sql<{ key: string }>('SELECT i.blob_key AS key FROM instances i JOIN studies s ON s.id = i.study_id WHERE s.study_instance_uid = ANY ($1)', [studies]);
    for (const { key } of rows) rmSync(join(this.house.api.dataDir, 'blobs', 'objects', key));
  }

  /** ModelDisagreement, ModelScoreDrift, ModelInputShift: dark images of two weeks ago, bright and larger ones of today, and people who see it otherwise. */
  async disagree(before: readonly string[], today: readonly string[]): Promise<void> {
    const { api, sql } = this.house;
    await sql(`UPDATE results SET created_at = created_at - interval '14 days' WHERE study_instance_uid = ANY ($1)`, [before]);
    const results = await sql<{ id: string }>('SELECT id FROM results WHERE study_instance_uid = ANY ($1)', [today]);
    const finding = { id: uuidv7(), kind: 'nodule', code: NODULE, score: 0.9, measurements: [] };
    await sql('UPDATE results SET findings = $2 WHERE id = $1', [results[0]?.id, JSON.stringify([finding])]);
    for (const [index, { id }] of results.entries()) {
      const decisions = [{ decision: 'label', label: 'Bright', agrees: false }, ...(index === 0 ? [{ decision: 'reject', finding: finding.id, reason: 'artefact' }] : [])];
      await api.json(`/api/v1/results/${id}/reviews`, json('POST', { decisions }, { 'if-match': '*' }));
    }
  }

  /** BreakGlassTaken, BreakGlassUnreviewed, Crossing, CrossingRefused. */
  async reachOver(): Promise<void> {
    const { api } = this.house;
    await api.json('/api/v1/users', json('POST', { email: AUDITOR.username, displayName: 'Auditor', role: 'auditor', password: AUDITOR.password }));
    const signedIn = await fetch(`${api.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', ...AUDITOR }) });
    const { access_token: token } = (await signedIn.json()) as { access_token: string };
    await api.json('/api/v1/break-glass', json('POST', { reason: 'Unconscious patient in the emergency room' }, { authorization: `Bearer ${token}` }));
    const { id } = await api.json<{ id: string }>('/api/v1/institutions', json('POST', { name: 'Elsewhere' }));
    const there = { 'x-institution-id': id, 'x-access-reason': 'Support case 4711: reports are missing' };
    await api.json('/api/v1/users', { headers: there });
    await api.fetch('/api/v1/users', { headers: { ...there, authorization: `Bearer ${token}` } });
  }

  /** AuthFailuresHigh, PasswordSpraying, CredentialsRefused. Nobody signs in from here for a minute after it. */
  async guess(): Promise<void> {
    const { url } = this.house.api;
    const guesses = Array.from({ length: 130 }, (_, index) => () => fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: `guess-${String(index)}@hospital.test`, password: 'winter2026' }) }));
    const keys = Array.from({ length: 210 }, (_, index) => () => fetch(`${url}/api/v1/studies`, { headers: { 'x-api-key': `hv_guess-${String(index)}` } }));
    await inTurns([...guesses, ...keys], 20);
  }

  /** PoisonJobs: an event that no handler of ours would write. */
  async poison(): Promise<void> {
    await this.event('delivery.due', { institutionId: this.institutionId, deliveryId: 'no id' });
  }

  /** QueueBacklog, QueueStuck; and QueueLostJobs: of one event the job is gone. */
  async hold(): Promise<void> {
    await this.house.api.json('/api/v1/queues/compare-results/pause', { method: 'POST' });
    await this.house.sql(`INSERT INTO outbox (id, institution_id, topic, payload) SELECT gen_random_uuid(), $1, 'result.comparable', $2 FROM generate_series(1, 110)`, [this.institutionId, { institutionId: this.institutionId, resultId: uuidv7() }]);
    await this.house.sql(`INSERT INTO outbox (id, institution_id, topic, payload, dispatched_at, pending, looked_at) VALUES ($1, $2, 'result.comparable', $3, now() - interval '1 minute', '{compare-results}', now() - interval '1 minute')`,
      [uuidv7(), this.institutionId, { institutionId: this.institutionId, resultId: uuidv7() }]);
  }

  /** RunsLost: workers that died in mid-run left nothing but rows that nobody updates. */
  async abandon(studies: readonly string[]): Promise<void> {
    await this.house.sql(`UPDATE analysis_runs SET status = 'running', heartbeat_at = now() - interval '1 minute', attempts = 1, finished_at = NULL WHERE study_instance_uid = ANY ($1)`, [studies]);
  }

  /** RepairsUnusual: more than twenty analyses wait, and nobody has taken one for half a minute. */
  async forget(studies: readonly string[]): Promise<void> {
    await this.house.api.json('/api/v1/queues/run/pause', { method: 'POST' });
    await this.complete(studies);
    await eventually('runs that wait', async () => {
      const rows = await this.house.sql(`UPDATE analysis_runs SET updated_at = now() - interval '1 minute' WHERE study_instance_uid = ANY ($1) AND status = 'queued' RETURNING id`, [studies]);
      return rows.length === studies.length;
    });
  }

  /** Seconds in which nothing can be put on record, more than calls wait for that queue up for it: ErrorRateHigh, LatencyHigh, AuditWriteFailures, RateLimitStoreAway. */
  async lock(): Promise<void> {
    const { api, tamper } = this.house;
    const { key } = await api.json<{ key: string }>('/api/v1/api-keys', json('POST', { name: 'newcomer', scopes: ['images:read'] }));
    await api.fetch('/api/v1/studies');
    const held = tamper(['LOCK TABLE audit_events, rate_limit_windows IN EXCLUSIVE MODE', []], ['SELECT pg_sleep(11)', []]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // The newcomer's share of the limit is not known here yet.
    await Promise.all([api.fetch('/api/v1/studies', { headers: { 'x-api-key': key } }), ...Array.from({ length: 100 }, () => api.fetch('/api/v1/studies'))]);
    await held;
  }

  /** DiskHigh, StorageFull; afterwards there is room again. */
  async fill(): Promise<void> {
    const { disk, api } = this.house;
    if (disk === undefined) return;
    const ballast = join(disk, 'ballast');
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - RESERVE_BYTES / 2));
    await eventually('images to be refused', async () => (await this.refused()) === 507);
    // Prometheus comes by once a second.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    rmSync(ballast);
    await eventually('images to be taken', async () => (await api.fetch('/api/v1/studies')).ok);
  }

  /** ResultsWithheld: images are replaced between their analysis and its result. */
  async withhold(): Promise<void> {
    const { sql } = this.house;
    await sql(`CREATE FUNCTION replace_images() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
      $$ BEGIN UPDATE instances SET id = gen_random_uuid() WHERE study_id IN (SELECT id FROM studies WHERE study_instance_uid = ANY (NEW.study_instance_uids)); RETURN NULL; END $$`);
    await sql(`CREATE TRIGGER replace_images AFTER INSERT ON audit_events FOR EACH ROW WHEN (NEW.action = 'runAnalysis' AND NEW.outcome = 'succeeded') EXECUTE FUNCTION replace_images()`);
    const studies = await this.send(1, { grey: 140, side: 48 });
    await this.complete(studies);
    await this.analysed(studies);
    await sql('DROP FUNCTION replace_images CASCADE');
  }

  /** CpuHigh, WorkerCpuHigh, MemoryHigh: containers that are too small for what the processes do, and somebody who takes the memory of one. Afterwards they are out of them. */
  async squeeze(until: () => Promise<unknown>): Promise<void> {
    const { groups, prometheus } = this.house;
    if (groups === undefined) return;
    const studies = await this.send(24, { grey: 200, side: 96 });
    await this.complete(studies);
    await this.analysed(studies);
    const used = await prometheus.values(CPU_TAKEN, 'job');
    const ballast = spawn(process.execPath, ['-e', `process.stdin.once('data', () => { globalThis.held = Buffer.alloc(${String(Math.round(BALLAST * CONTAINER_BYTES))}, 1); })`], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      groups.api.limit({ memoryBytes: CONTAINER_BYTES });
      groups.api.add(ballast.pid ?? 0);
      for (const role of ['api', 'worker'] as const) {
        groups[role].limit({ cores: (used.get(`healthvision-${role}`) ?? 1) / CPU_USED });
        groups[role].add(this.house[role].process.pid ?? 0);
      }
      ballast.stdin.write('take\n');
      await until();
    } finally {
      ballast.kill('SIGKILL');
      if (ballast.exitCode === null && ballast.signalCode === null) await once(ballast, 'exit');
      for (const group of Object.values(groups)) group.close();
    }
  }

  /** AuditChainBroken, BackupOld, AuditUnsealed: somebody with the rights of a superuser writes and changes events. */
  async forge(): Promise<void> {
    const { sql, tamper } = this.house;
    await tamper(forged('backup', '25 hours'));
    await eventually('the forged event to be sealed', async () => (await sql('SELECT 1 FROM audit_heads WHERE institution_id = $1', [INSTALLATION])).length === 1);
    await tamper([`UPDATE audit_heads SET hash = sha256(hash) WHERE institution_id = $1`, [INSTALLATION]], forged('listUsers', '20 minutes'));
  }

  /** SignedObjectsRefused: what was signed names an image that is not there, and no application of ours wrote that. */
  async sign(study: string): Promise<void> {
    const location = { sopInstanceUid: '1.2.3', sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', frame: 1, center: [0, 0, 0], box: [[0, 0, 0], [1, 1, 1]] };
    const finding = { id: uuidv7(), kind: 'nodule', code: NODULE, score: 0.9, measurements: [], location };
    const [result] = await this.house.sql<{ id: string }>('UPDATE results SET findings = $2 WHERE study_instance_uid = $1 RETURNING id', [study, JSON.stringify([finding])]);
    await this.house.api.json(`/api/v1/results/${result?.id ?? ''}/sign-off`, json('POST', { password: ADMIN.password }, { 'if-match': '*' }));
  }

  /** What is no image is counted, too. */
  async refuse(): Promise<void> {
    await this.house.api.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=x' }, body: '--x\r\nContent-Type: application/dicom\r\n\r\nno image\r\n--x--\r\n' });
  }

  /** What DIMSE counts. */
  async echo(): Promise<void> {
    // The first is nobody that is known.
    const echo = (): Promise<unknown> => promisify(execFile)('echoscu', ['-aet', 'MODALITY', '-aec', 'HEALTHVISION', '127.0.0.1', String(this.house.dimsePort)]).catch((error: unknown) => error);
    await echo();
    await this.house.api.json('/api/v1/dimse-callers', json('POST', { aeTitle: 'MODALITY' }));
    await echo();
  }

  private async refused(): Promise<number> {
    return this.send(1, { grey: 10, side: 32 }).then(() => 200, (error: unknown) => Number((error as Error).message.slice(0, 3)));
  }

  private async event(topic: string, payload: object): Promise<void> {
    await this.house.sql('INSERT INTO outbox (id, institution_id, topic, payload) VALUES ($1, $2, $3, $4)', [uuidv7(), this.institutionId, topic, payload]);
  }
}

function forged(action: string, age: string): [string, unknown[]] {
  return [`INSERT INTO audit_events (id, institution_id, at, actor_kind, action, outcome, mac) VALUES ($1, $2, now() - $3::interval, 'job', $4, 'succeeded', $5)`, [uuidv7(), INSTALLATION, age, action, Buffer.from(randomUUID())]];
}

async function inTurns(work: (() => Promise<Response>)[], atOnce: number): Promise<void> {
  const left = [...work];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let next = left.shift(); next; next = left.shift()) await (await next()).text();
  }));
}
