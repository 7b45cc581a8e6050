import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawDashboards } from '../ops/draw-dashboards.mjs';
import { answersOf } from '../ops/prometheus-answers.mjs';
import { opensslIsInstalled } from '../support/certificates.js';
import { alerts, dashboards, isInstalled, type Panel } from '../support/monitoring-files.js';
import { eventually, ROOT } from '../support/product.js';
import type { FiringAlert } from '../support/prometheus.js';
import { openMonitoringHouse, type MonitoringHouse } from './monitoring-house.js';
import { Provocations } from './provocations.js';

/** What fires from the start: nobody has made a backup, and the worker lacks the GPU that it is configured for. */
const FROM_THE_START = ['HealthVisionWatchdog', 'HealthVisionBackupNone', 'HealthVisionGpuUnavailable', 'HealthVisionGpuMemoryHigh', 'HealthVisionProviderFallback'];
/** Whether these fire depends on the machine, and on what else it does. */
const OF_THE_MACHINE = ['HealthVisionCpuHigh', 'HealthVisionWorkerCpuHigh', 'HealthVisionMemoryHigh', 'HealthVisionLatencyHigh', 'HealthVisionDiskHigh'];
/** What takes a disk that may be filled, a container that is too small, and a certificate. */
const ON_DISK = ['HealthVisionDiskHigh', 'HealthVisionStorageFull'];
const ON_GROUP = ['HealthVisionCpuHigh', 'HealthVisionWorkerCpuHigh', 'HealthVisionMemoryHigh'];
const ON_CERTIFICATE = ['HealthVisionCertificateExpires', 'HealthVisionCertificateExpiresSoon'];
const openssl = opensslIsInstalled();
const dcmtk = isInstalled('echoscu', 'dcmtk');
/** Panels about what does not happen here. */
const WITHOUT_DATA = new Map([
  ...(openssl ? [] : [['Certificate', 'nothing speaks TLS without a certificate'] as const]),
  ...(dcmtk ? [] : [['DIMSE associations', 'nobody calls'] as const, ['DIMSE requests', 'nobody calls'] as const]),
]);

const named = (name: string): string => `HealthVision${name}`;
const isHere = isInstalled('prometheus', 'prometheus');
const shown = dashboards().flatMap(({ dashboard: { uid, panels } }) => panels.filter(({ type }) => type !== 'row').map((panel): [string, Panel] => [`${uid}: ${panel.title}`, panel]));

describe.runIf(isHere)('an installation that Prometheus watches', () => {
  let house: MonitoringHouse;
  let begun = 0;
  let quiet: string[] = [];
  const said: FiringAlert[] = [];

  const fired = async (): Promise<string[]> => [...(await house.prometheus.values('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[10m]))', 'alertname')).keys()];
  const isProvoked = (name: string): boolean => (house.disk !== undefined || !ON_DISK.includes(name)) && (house.groups !== undefined || !ON_GROUP.includes(name)) && (openssl || !ON_CERTIFICATE.includes(name));
  const look = async (): Promise<string[]> => {
    const firing = await house.prometheus.firing();
    said.push(...firing);
    return firing.map(({ labels: { alertname = '' } }) => alertname);
  };
  const awaited = (...names: string[]): Promise<true> => eventually(`${names.join(', ')} to fire`, async () => {
    const seen = await fired();
    await look();
    return names.every((name) => seen.includes(named(name)));
  }, 40_000);

  beforeAll(async () => {
    house = await openMonitoringHouse();
    begun = Date.now() / 1000;
    const provoke = new Provocations(house);
    await provoke.prepare();
    await eventually('both to be scraped', async () => (await house.prometheus.values('count_over_time(up[1m]) > 3 and up == 1', 'job')).size === 2);
    for (let i = 0; i < 25; i++) await house.api.json('/api/v1/studies');
    await eventually('nothing but what is so', async () => {
      quiet = await look();
      return FROM_THE_START.every((name) => quiet.includes(name)) && quiet.every((name) => [...FROM_THE_START, ...OF_THE_MACHINE].includes(name));
    }, 20_000).catch(() => undefined);

    await provoke.subscribe();
    const [before, today, lost, waiting] = [await provoke.send(20, { grey: 20, side: 48 }), await provoke.send(20, { grey: 200, side: 96 }), await provoke.send(3, { grey: 90, side: 48 }), await provoke.send(24, { grey: 60, side: 48 })];
    await provoke.loseBlobs(lost);
    await provoke.complete([...before, ...today, ...lost]);
    await provoke.reachOver();
    await provoke.refuse();
    if (dcmtk) await provoke.echo();
    await provoke.poison();
    await provoke.hold();
    await provoke.analysed([...before, ...today, ...lost]);
    await provoke.withhold();
    await provoke.squeeze(() => awaited('CpuHigh', 'WorkerCpuHigh', 'MemoryHigh'));
    await provoke.forget(waiting);
    await provoke.disagree(before, today);
    await provoke.sign(before[0] ?? '');
    await provoke.abandon(lost);
    await provoke.forge();
    // What every process works out at long intervals is asked of one that was never asked before.
    await house.openSecondApi();
    // Of what happened between two looks alone, Prometheus can tell no rate.
    await provoke.send(2, { grey: 120, side: 48 });
    await provoke.guess();
    await provoke.lock();
    await provoke.fill();
  }, 240_000);
  afterAll(async () => { await house.close(); }, 60_000);

  it('fires nothing that is not so', () => {
    expect(quiet.filter((name) => !OF_THE_MACHINE.includes(name)).sort()).toEqual([...FROM_THE_START].sort());
  });

  it.each([
    ['images come in and are analysed that nobody hears of', ['WebhooksDisabled', 'WebhooksFailing', 'DestinationsFailing', 'MailsFailing', 'EscalationExhausted', 'EscalationsOpen']],
    ['bytes of studies are lost', ['CompletionRateLow']],
    ['what was signed fits no report', ['SignedObjectsRefused']],
    ['a model sees other images than before, and people disagree with it', ['ModelDisagreement', 'ModelScoreDrift', 'ModelInputShift']],
    ['people reach for what is not theirs', ['BreakGlassTaken', 'BreakGlassUnreviewed', 'Crossing', 'CrossingRefused']],
    ['somebody guesses passwords and keys', ['AuthFailuresHigh', 'PasswordSpraying', 'CredentialsRefused']],
    ['a job is given up, others pile up, one is lost', ['PoisonJobs', 'QueueBacklog', 'QueueStuck', 'QueueLostJobs']],
    ['workers die, and nobody takes what waits', ['RunsLost', 'RepairsUnusual']],
    ['nothing can be put on record for a while', ['ErrorRateHigh', 'LatencyHigh', 'AuditWriteFailures', 'RateLimitStoreAway']],
    ['somebody tampers with the audit trail, and the last backup is of yesterday', ['AuditChainBroken', 'AuditUnsealed', 'BackupOld']],
    ['a container is too small for what runs in it', ['CpuHigh', 'WorkerCpuHigh', 'MemoryHigh']],
    ['images are replaced while they are analysed', ['ResultsWithheld']],
    ['a certificate ends in two days', ['CertificateExpires', 'CertificateExpiresSoon']],
    ['the disk runs full', ['DiskHigh', 'StorageFull']],
  ])('fires when %s', async (_, names) => {
    await awaited(...names.filter((name) => isProvoked(named(name))));
  });

  // Also, figures of a first time are rates of nothing yet.
  it('is quiet again where the cause is gone', async () => {
    await house.api.json('/api/v1/queues/run/resume', { method: 'POST' });
    await eventually('the queue to be worked off', async () => !(await house.prometheus.values('ALERTS{alertname="HealthVisionQueueStuck", alertstate="firing"}', 'queue')).has('run'), 40_000);
  });

  it.each(shown)('has data for %s', async (title, panel) => {
    if ([...WITHOUT_DATA.keys()].some((name) => title.endsWith(`: ${name}`))) return;
    await eventually('something to draw', async () => {
      const series = await answersOf(house.prometheus.url, { targets: panel.targets ?? [] }, { from: begun, to: Date.now() / 1000, rate: '30s' });
      return series.some(({ points }) => points.some(([, value]) => Number.isFinite(value)));
    }, 15_000);
  });

  it('can be looked at', async () => {
    const pictures = await drawDashboards({ prometheus: house.prometheus.url, window: { from: begun, to: Date.now() / 1000, rate: '10s' }, folder: join(ROOT, 'test-results', 'dashboards') });
    expect(pictures).toHaveLength(dashboards().length);
  });

  it('fires when its processes are gone, one after the other', async () => {
    await house.stop('worker');
    await awaited('TargetDown', 'NoWorker');
    await house.stop('api');
    await awaited('ServiceDown');
  });

  it('has said everything in whole sentences', () => {
    expect(said.length).toBeGreaterThan(0);
    expect(said.flatMap(({ annotations }) => Object.values(annotations)).filter((text) => /<no value>|<error|%!|NaN|\{\{/.test(text))).toEqual([]);
  });

  it('was brought to fire every alert', async () => {
    const seen = await fired();
    const silent = alerts().map(({ alert }) => alert).filter((name) => !seen.includes(name) && isProvoked(name));
    expect(silent).toEqual([]);
  });
});
