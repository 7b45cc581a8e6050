import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';
import { disagreements } from './agreement.js';
import { CHART, containersOf, HELM, podsOf, rendered, type Manifest } from './chart.js';
import { chartWithMonitoring, installations } from './installations.js';
import { runningCode, type RunningCode } from './running-code.js';

const DOCKERFILE = join(ROOT, 'docker/Dockerfile');

describe.skipIf(HELM === undefined)('the rendered chart', () => {
  let code: RunningCode;
  let chart: string;
  let everything: Manifest[];
  let known: ReadonlySet<string>;
  beforeAll(async () => {
    code = await runningCode();
    chart = chartWithMonitoring();
    everything = [...installations(chart)].filter(([name]) => /^(everything|values-eks\.yaml$|secrets from Vault|Gateway API)/.test(name)).flatMap(([, options]) => rendered(options));
    known = new Set(disagreements(everything, code));
  });
  afterAll(() => { rmSync(dirname(chart), { recursive: true }); });

  it('is compared with all of the code that it could disagree with', () => {
    expect([...code.paths].sort()).toEqual(['/health', '/metrics', '/ready']);
    expect(code).toMatchObject({ drainSeconds: 20, auditQueue: 'audit-queue' });
    expect(code.graceSeconds).toBeGreaterThan(0);
    expect([...code.commands.keys()]).toEqual(expect.arrayContaining(['start', 'migrate', 'backup', 'restore', 'audit', 'selftest']));
    expect(code.settings.size).toBeGreaterThan(60);
    expect(code.metrics.get('healthvision_queue_jobs')).toEqual(['queue', 'state']);
    expect([...code.jobStates]).toContain('waiting');
  });

  it('agrees with the code in every port, path, variable, secret key, command, queue, metric and label', () => {
    // A stage after a place says how much, and names nothing new.
    const differing = [...installations(chart)].filter(([name]) => !/^values-\S+ values-/.test(name));
    expect(differing.flatMap(([name, options]) => disagreements(rendered(options), code).map((fault) => `${name}: ${fault}`))).toEqual([]);
  });

  it('can set every variable that the code reads', () => {
    const given = new Set([...podsOf(everything).flatMap((pod) => containersOf(pod).flatMap(({ env }) => env?.map(({ name }) => name) ?? []))]);
    expect([...code.settings].filter((name) => !given.has(name))).toEqual([]);
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as { properties: { settings: { properties: object } } };
    expect(Object.keys(schema.properties.settings.properties).filter((name) => !code.settings.has(name))).toEqual([]);
  });

  it('lists the queues of the code', () => {
    const [, list = ''] = /define "healthvision.allQueues" -\}\}\n(.*)\n/.exec(readFileSync(join(CHART, 'templates/_queues.tpl'), 'utf8')) ?? [];
    expect(list.split(',')).toEqual([...code.queues]);
  });

  it.skipIf(!existsSync(DOCKERFILE))('gives the image arguments for the command line, the account that it has, and the folder that is its own', () => {
    const text = readFileSync(DOCKERFILE, 'utf8');
    const entryPoints = [...text.matchAll(/^ENTRYPOINT (\[.*\])$/gm)].map(([, entry = '']) => JSON.parse(entry) as string[]);
    expect(entryPoints.map((entry) => entry.at(-1))).toEqual(['/app/src/cli/launch.mjs', '/app/src/cli/launch.mjs']);
    const pods = podsOf(everything).filter((pod) => containersOf(pod).every(({ image }) => image.includes('healthvision')));
    for (const { owner, template: { spec } } of pods) {
      expect(text, owner).toContain(`USER ${String(spec.securityContext?.runAsUser)}:${String(spec.securityContext?.runAsGroup)}`);
      for (const { command, volumeMounts } of spec.containers) {
        expect(command, owner).toBeUndefined();
        expect(volumeMounts?.map(({ mountPath }) => mountPath), owner).toContain(/DATA_DIR=(\S+)/.exec(text)?.[1]);
      }
    }
  });

  // [what disagrees, the text in the rendered chart, what it is misspelt to]
  it.each<[kind: string, right: string, wrong: string]>([
    ['port', '"name":"http","containerPort":8080', '"name":"htpp","containerPort":8080'],
    ['port', '"name":"metrics","containerPort":9464', '"name":"metrics","containerPort":9465'],
    ['port', '"name":"dimse","containerPort":11112', '"name":"dimse","containerPort":1112'],
    ['port', '"targetPort":"dimse"', '"targetPort":"dims"'],
    ['port', '"port":"http","scheme"', '"port":"metrics","scheme"'],
    ['port', '"protocol":"TCP","port":"metrics"', '"protocol":"TCP","port":"metric"'],
    ['port', '"port":"metrics","path":"/metrics"', '"port":"metric","path":"/metrics"'],
    ['port', '"prometheus.io/port":"9464"', '"prometheus.io/port":"8080"'],
    ['path', '"path":"/health"', '"path":"/healthz"'],
    ['path', '"path":"/ready"', '"path":"/readyz"'],
    ['path', '"path":"/metrics"', '"path":"/metric"'],
    ['path', '"alb.ingress.kubernetes.io/healthcheck-path":"/ready"', '"alb.ingress.kubernetes.io/healthcheck-path":"/redy"'],
    ['environment', '"name":"SETTLE_SECONDS"', '"name":"SETTLE_SECOND"'],
    ['environment', '"value":"worker"', '"value":"wroker"'],
    ['environment', '"value":"8GiB"', '"value":"8Gib"'],
    ['environment', '"name":"HEALTHVISION_API_KEY"', '"name":"HEALTHVISION_APIKEY"'],
    ['secret key', '"key":"MASTER_KEY"', '"key":"MASTERKEY"'],
    ['secret key', '"secretKey":"REDIS_URL"', '"secretKey":"REDIS_URI"'],
    ['secret key', '.Data.data.MASTER_KEY', '.Data.data.MASTERKEY'],
    ['secret key', '"value":"/vault/secrets/redis-url"', '"value":"/vault/secrets/redis-uri"'],
    ['command', '["migrate"]', '["migrat"]'],
    ['command', '"--keep-days"', '"--keep-day"'],
    ['command', '["audit","verify"', '["audit","check"'],
    ['command', '"--identity"', '"--identityfile"'],
    ['mount', '"mountPath":"/backup"', '"mountPath":"/backups"'],
    ['mount', '"mountPath":"/etc/healthvision/ca"', '"mountPath":"/etc/healthvision/cas"'],
    ['mount', '"mountPath":"/var/lib/healthvision/audit-queue"', '"mountPath":"/var/lib/healthvision/audit"'],
    ['queue', '"value":"run,check-model"', '"value":"runs,check-model"'],
    ['metric', 'healthvision_queue_jobs', 'healthvision_queue_job'],
    ['label', 'state=~\\"waiting|active\\"', 'stat=~\\"waiting|active\\"'],
    ['label', 'state=~\\"waiting|active\\"', 'state=~\\"wait|active\\"'],
    ['label', 'queue=~\\"run\\"', 'queue=~\\"runs\\"'],
    ['label', '"key":"state","operator":"In"', '"key":"status","operator":"In"'],
    ['label', '"replacement":"healthvision-worker"', '"replacement":"healthvision-workers"'],
    ['reference', '"claimName":"hv-healthvision-backup"', '"claimName":"hv-healthvision-backups"'],
    ['reference', '"serviceAccountName":"hv-healthvision-jobs"', '"serviceAccountName":"hv-healthvision-job"'],
    ['reference', '"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"hv-healthvision-gpu-worker"', '"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"hv-healthvision-gpu"'],
    ['reference', '"backendRefs":[{"name":"hv-healthvision-api"', '"backendRefs":[{"name":"hv-healthvision"'],
    ['selector', '"selector":{"app.kubernetes.io/name":"healthvision","app.kubernetes.io/instance":"hv","app.kubernetes.io/component":"api"', '"selector":{"app.kubernetes.io/name":"healthvision","app.kubernetes.io/instance":"hv","app.kubernetes.io/component":"apis"'],
    ['time', '"terminationGracePeriodSeconds":60', '"terminationGracePeriodSeconds":20'],
  ])('would be found out in a %s: %s', (kind, right, wrong) => {
    const text = JSON.stringify(everything);
    expect(text, 'is in the chart').toContain(right);
    const faults = disagreements(JSON.parse(text.replaceAll(right, wrong)) as Manifest[], code);
    expect(faults.filter((fault) => fault.startsWith(`${kind}: `) && !known.has(fault))).not.toEqual([]);
  });
});
