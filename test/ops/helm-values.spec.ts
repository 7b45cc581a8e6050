import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../support/product.js';
import { CHART, containersOf, HELM, podsOf, render, rendered } from './chart.js';

const ONPREM = ['values-onprem.yaml'];

/** What is set, and how the line begins that refuses it: with the key. */
const IMPOSSIBLE: readonly (readonly [set: string, line: string])[] = [
  ['apii.replicas=2', '(root): Additional property apii is not allowed'],
  ['api.replicas=two', 'api.replicas: '],
  ['api.replicas=0', 'api.replicas: '],
  ['api.autoscaling.maximum=5', 'api.autoscaling: Additional property maximum is not allowed'],
  ['publicUrl=healthvision.hospital.example', 'publicUrl: '],
  ['settings.SETTLE_SECOND=3', 'settings: Additional property SETTLE_SECOND is not allowed'],
  ['settings.LOG_LEVEL=loud', 'settings.LOG_LEVEL: '],
  ['settings.MAX_UPLOAD_BYTES=4GX', 'settings.MAX_UPLOAD_BYTES: '],
  ['settings.DATABASE_URL=postgresql://u:p@h/d', 'settings: Additional property DATABASE_URL is not allowed'],
  ['secrets.from=file', 'secrets.from: '],
  ['secrets.refs.DATABASE_URI.name=x', 'secrets.refs: Additional property DATABASE_URI is not allowed'],
  ['queue.backend=rabbitmq', 'queue.backend: '],
  ['blobs.store=nfs', 'blobs.store: '],
  ['blobs.s3.bucket=Not_A_Bucket', 'blobs.s3.bucket: '],
  ['blobs.volume.size=big', 'blobs.volume.size: '],
  ['gpuWorker.gpu.resource=amd.com/gpu', 'gpuWorker.gpu.resource: '],
  ['gpuWorker.executionProviders={rocm}', 'gpuWorker.executionProviders.0: '],
  ['cpuWorker.autoscaling.by=magic', 'cpuWorker.autoscaling.by: '],
  ['dimse.aeTitle=A-TITLE-THAT-IS-TOO-LONG', 'dimse.aeTitle: '],
  ['ingress.controller=traefik', 'ingress.controller: '],
  ['ingress.tls13=maybe', 'ingress.tls13: '],
  ['deployment.strategy=canary', 'deployment.strategy: '],
  ['deployment.blueGreen.canaryWeight=150', 'deployment.blueGreen.canaryWeight: '],
  ['deployment.blueGreen.active=red', 'deployment.blueGreen.active: '],
  ['backup.keepDays=0', 'backup.keepDays: '],
  ['backup.schedule=hourly', 'backup.schedule: '],
  ['restore.backup=yesterday', 'restore.backup: '],
  ['image.digest=sha256:abc', 'image.digest: '],
  ['networkPolicy.database.ports={70000}', 'networkPolicy.database.ports.0: '],
  ['networkPolicy.redis.ports=6379', 'networkPolicy.redis.ports: '],
  ['networkPolicy.smtp.ports={submission}', 'networkPolicy.smtp.ports.0: '],
  ['networkPolicy.s3.ports={70000}', 'networkPolicy.s3.ports.0: '],
  ['networkPolicy.dns.ports=null', 'networkPolicy.dns: ports is required'],
  ['networkPolicy.vault.port=8200', 'networkPolicy.vault: Additional property port is not allowed'],
  ['networkPolicy.tracing.to={10.20.10.12/32}', 'networkPolicy.tracing.to.0: '],
  ['networkPolicy.replication.to[0].ipblock.cidr=10.30.0.0/16', 'networkPolicy.replication.to.0: Additional property ipblock is not allowed'],
  ['networkPolicy.ingressFrom[0].ipBlock.cidr=10.20.10.12', 'networkPolicy.ingressFrom.0.ipBlock.cidr: '],
  ['networkPolicy.webhooks.exceptIPv4={10.0.0.0}', 'networkPolicy.webhooks.exceptIPv4.0: '],
  ['queue.redis.sentinels={redis://sentinel:26379}', 'queue.redis.sentinels.0: '],
  ['dimse.service.port=none', 'dimse.service.port: '],
  ['api.resources.requests.cpus=2', 'api.resources.requests: Property name of "cpus" does not match'],
  ['cpuWorker.resources.limits.memory=-1', 'cpuWorker.resources.limits.memory: '],
  ['smtp.from=HealthVision', 'smtp.from: '],
  ['backup.replication.image.tag=', 'backup.replication.image.tag: '],
  ['topologySpread.host=Never', 'topologySpread.host: '],
  ['terminationGracePeriodSeconds=10', 'terminationGracePeriodSeconds: '],
  ['oidc.issuers[0].issuer=http://login.hospital.example', 'oidc.issuers.0.issuer: '],
  ['evaluation.postgres.size=1Gi', 'evaluation: Additional property postgres is not allowed'],
];

interface Stage { [key: string]: Stage | number | string | boolean | unknown[] }

describe.skipIf(HELM === undefined)('values', () => {
  // All at once, since each is told of; but one key has one fault at a time.
  const impossible = [IMPOSSIBLE.filter(([set]) => set !== 'api.replicas=0'), IMPOSSIBLE.filter(([set]) => set === 'api.replicas=0')]
    .map((some) => some.map(([set]) => set))
    .map((of) => ({ of, ...(HELM === undefined ? { ok: false, refusal: '' } : render({ files: ONPREM, set: of })) }));

  it.each(IMPOSSIBLE)('that cannot be are refused by name: %s', (set, line) => {
    const { refusal } = impossible.find((one) => one.of.includes(set)) ?? { refusal: '' };
    expect(refusal.split('\n').filter((one) => one.startsWith(`- ${line}`)), refusal).toHaveLength(1);
  });

  it('that cannot be let nothing be rendered', () => {
    expect(impossible.map(({ ok }) => ok)).toEqual([false, false]);
  });

  it.each<[why: string, files: readonly string[], set: readonly string[], sentence: string]>([
    ['no database, and no evaluation', [], [], 'No database is given: no Secret brings DATABASE_URL'],
    ['Redis without its URL', [], ['secrets.refs.MASTER_KEY.name=a', 'secrets.refs.DATABASE_URL.name=b'], 'queue.backend=redis: no Secret brings REDIS_URL'],
    ['S3 without credentials', [], ['secrets.refs.MASTER_KEY.name=a'], 'blobs.s3.credentials=secret: no Secret brings S3_ACCESS_KEY_ID'],
    ['S3 without a bucket', ONPREM, ['blobs.s3.bucket='], 'blobs.s3.bucket names no bucket'],
    ['several pods on a volume of one node', ONPREM, ['blobs.store=fs', 'blobs.volume.accessModes={ReadWriteOnce}'], 'blobs.volume.accessModes needs ReadWriteMany'],
    ['External Secrets without a store', ONPREM, ['secrets.from=externalSecrets'], 'secrets.externalSecrets.store names no store'],
    ['Vault without a role', ONPREM, ['secrets.from=vault'], 'secrets.vault.role names no role'],
    ['an evaluation with a Secret', ['values-evaluation.yaml'], ['secrets.name=mine'], 'evaluation.enabled makes up its own secrets'],
    ['a bundle that nobody names', ONPREM, ['trustedCa.configMap='], 'database.useTrustedCa: trustedCa.configMap or trustedCa.secret'],
    ['two bundles', ONPREM, ['trustedCa.secret=b'], 'trustedCa.configMap and trustedCa.secret: give one'],
    ['signatures without keys', ONPREM, ['models.signers.required=true'], 'models.signers.configMap names no keys'],
    ['an Ingress without an address', ONPREM, ['publicUrl='], 'publicUrl: has to be given'],
    ['an address without TLS', ONPREM, ['publicUrl=http://healthvision.hospital.example'], 'publicUrl: http:// would send passwords and images in clear text'],
    ['sentinels behind a closed port', ONPREM, ['queue.redis.sentinels={sentinel-0:26380,sentinel-1}'], 'networkPolicy.redis.ports: the sentinel "sentinel-0:26380" of queue.redis.sentinels is at port 26380'],
    ['TLS without a certificate', ONPREM, ['tls.enabled=true'], 'tls.existingSecret names no Secret'],
    ['client certificates without TLS', ONPREM, ['tls.clientCa.secret=ca'], 'tls.clientCa.secret'],
    ['passing through what is not encrypted', ONPREM, ['ingress.tls13=passthrough'], 'ingress.tls13=passthrough: the pod has to speak TLS'],
    ['a route without a Gateway', ONPREM, ['gateway.enabled=true'], 'gateway.parentRefs names no Gateway'],
    ['a Gateway before encrypted pods', ONPREM, ['gateway.enabled=true', 'gateway.parentRefs[0].name=g', 'tls.enabled=true', 'tls.existingSecret=t'], 'an HTTPRoute speaks plain HTTP'],
    ['an end before what runs has ended', ONPREM, ['terminationGracePeriodSeconds=30'], 'terminationGracePeriodSeconds (30) cuts off what runs: a pod of the API may take 35 s'],
    ['the same by settings', ONPREM, ['settings.SHUTDOWN_GRACE_SECONDS=50', 'settings.SHUTDOWN_DELAY_SECONDS=0.5'], 'terminationGracePeriodSeconds (60) cuts off what runs: a pod of the API may take 61 s'],
    ['less than the least', ONPREM, ['api.autoscaling.min=11'], 'api.autoscaling.min (11) is more than api.autoscaling.max (10)'],
    ['workers that begin from nothing without KEDA', ONPREM, ['cpuWorker.autoscaling.min=0'], 'cpuWorker.autoscaling.min=0: only KEDA begins from nothing'],
    ['an update that cannot begin', ONPREM, ['gpuWorker.enabled=true', 'gpuWorker.rollingUpdate.maxUnavailable=0'], 'gpuWorker.rollingUpdate'],
    ['queues that nobody takes', ONPREM, ['cpuWorker.queues={run,plan}'], 'No worker takes the queues send-mail, settle'],
    ['no worker at all', ONPREM, ['cpuWorker.enabled=false'], 'No worker takes the queues'],
    ['a queue that is misspelt', ONPREM, ['gpuWorker.enabled=true', 'gpuWorker.queues={run,check-models}'], 'there is no queue "check-models"'],
    ['a version that is none', ONPREM, ['image.tag=latest'], 'image.tag=latest: name a version'],
    ['two colours and one digest', ONPREM, ['deployment.strategy=blueGreen', `image.digest=sha256:${'a'.repeat(64)}`], 'leave image.digest and image.gpuDigest empty'],
    ['a share for nobody', ONPREM, ['deployment.strategy=blueGreen', 'deployment.blueGreen.canaryWeight=10'], 'set deployment.blueGreen.green.tag'],
    ['a share that nobody deals out', ONPREM, ['ingress.enabled=false', 'deployment.strategy=blueGreen', 'deployment.blueGreen.green.tag=2.0.0', 'deployment.blueGreen.canaryWeight=10'], 'shares of the traffic need gateway.enabled'],
    ['a colour in a rolling release', ONPREM, ['deployment.blueGreen.active=green'], 'count with deployment.strategy=blueGreen only'],
    ['recipients and a passphrase', ONPREM, ['backup.recipients={age1qq}', 'backup.passphraseSecret=p'], 'backup.recipients and backup.passphraseSecret: give one'],
    ['a check of what cannot be opened', ONPREM, ['backup.recipients={age1qq}'], 'backup.verify.identitySecret'],
    ['a restore of what cannot be opened', ONPREM, ['backup.recipients={age1qq}', 'backup.verify.enabled=false', 'restore.enabled=true'], 'restore.identitySecret names no identity'],
    ['copies to nowhere', ONPREM, ['backup.replication.enabled=true'], 'backup.replication.destination say where to'],
  ])('that do not go together are refused with a sentence: %s', (_why, files, set, sentence) => {
    const { ok, refusal } = render({ files, set });
    expect(ok).toBe(false);
    expect(refusal).toContain(sentence);
  });

  it('tell of every fault at once', () => {
    expect(render().refusal.split('\n').filter((line) => /\b(no Secret|No Secret|names no bucket)/.test(line))).toHaveLength(6);
  });

  it('keep large numbers whole', () => {
    const [container] = podsOf(rendered({ files: ONPREM, set: ['settings.STORAGE_RESERVE_BYTES=4294967296', 'settings.RATE_LIMIT_PRINCIPAL=100000000', 'settings.PRIORITY_AGING_MINUTES=0.5'] })).filter(({ owner }) => owner.endsWith('-api')).flatMap(containersOf);
    const value = (name: string): string | undefined => container?.env?.find((one) => one.name === name)?.value;
    expect([value('STORAGE_RESERVE_BYTES'), value('RATE_LIMIT_PRINCIPAL'), value('PRIORITY_AGING_MINUTES')]).toEqual(['4294967296', '100000000', '0.5']);
  });

  it('may end an address with a slash, which nobody sees', () => {
    const addresses = (set: readonly string[]): (string | undefined)[] => podsOf(rendered({ files: ONPREM, set })).flatMap(containersOf).flatMap(({ env, args }) => [env?.find(({ name }) => name === 'PUBLIC_URL')?.value, ...(args?.filter((arg) => arg.startsWith('https:')) ?? [])]).filter((one) => one !== undefined);
    const told = addresses(['publicUrl=https://healthvision.hospital.example/', 'tls.enabled=true', 'tls.existingSecret=tls', 'selftest.secret=key']);
    expect([...new Set(told)]).toEqual(['https://healthvision.hospital.example']);
  });

  it('say of every pod on which nodes it runs', () => {
    const toleration = { key: 'department', operator: 'Exists', effect: 'NoSchedule' };
    const on = ['api', 'cpuWorker', 'jobs'].flatMap((of) => [`${of}.tolerations[0].key=department`, `${of}.tolerations[0].operator=Exists`, `${of}.tolerations[0].effect=NoSchedule`, `${of}.nodeSelector.disk=ssd`]);
    const pods = podsOf(rendered({ files: ONPREM, set: [...on, 'selftest.secret=key', 'backup.replication.enabled=true', 'backup.replication.configSecret=rclone', 'backup.replication.destination=offsite:backups'] }));
    expect(pods.map(({ owner }) => owner)).toHaveLength(8);
    for (const { owner, template: { spec } } of pods) expect(spec, owner).toMatchObject({ tolerations: [toleration], nodeSelector: { disk: 'ssd' } });
  });

  it('wait for no load balancer where nothing is to be waited for', () => {
    const hooks = (seconds: number): unknown[] => podsOf(rendered({ files: ONPREM, set: [`api.preStopSeconds=${String(seconds)}`] })).filter(({ owner }) => owner.endsWith('-api')).flatMap(containersOf).map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds);
    expect([hooks(5), hooks(0)]).toEqual([[5], [undefined]]);
  });

  it('let GPU workers onto nodes without the label of feature discovery', () => {
    const selectors = (set: readonly string[]): unknown[] => podsOf(rendered({ files: ONPREM, set: ['gpuWorker.enabled=true', ...set] })).filter(({ owner }) => owner.endsWith('-gpu-worker')).map(({ template }) => template.spec.nodeSelector);
    expect(selectors([])).toEqual([{ 'nvidia.com/gpu.present': 'true' }]);
    expect(selectors(['gpuWorker.nodeSelector.nvidia\\.com/gpu\\.present=null'])).toEqual([undefined]);
    expect(selectors(['gpuWorker.nodeSelector.nvidia\\.com/gpu\\.present=null', 'gpuWorker.nodeSelector.accelerator=nvidia'])).toEqual([{ accelerator: 'nvidia' }]);
  });

  it('of pre-production are half of those of production', () => {
    const [half, whole] = ['preprod', 'production'].map((stage) => numbersOf(parse(readFileSync(join(CHART, `values-${stage}.yaml`), 'utf8')) as Stage));
    if (!half || !whole) throw new Error('no stages');
    expect([...half.keys()].sort()).toEqual([...whole.keys()].sort());
    expect(whole.size).toBeGreaterThan(20);
    for (const [key, number] of whole) expect(half.get(key), key).toBe(number / 2);
  });

  it('have a schema for every key, and a key for everything in the schema', () => {
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as Schema;
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Stage;
    expect(unknownTo(values, schema, schema)).toEqual([]);
  });

  it('are told in the README of the chart as they are', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'helm/readme.mjs'), '--check'], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  });

  it('are each described, in a comment or by the row above', () => {
    const readme = readFileSync(join(CHART, 'README.md'), 'utf8');
    for (const key of Object.keys(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Stage)) expect(readme, key).toMatch(new RegExp(`^\\| \`${key}[.\`]`, 'm'));
  });
});

/** Counts, and amounts of CPU, memory and disk, by their keys; the percent at which one scales is not one. */
function numbersOf(tree: Stage, path = ''): Map<string, number> {
  const units: Readonly<Record<string, number>> = { '': 1, m: 1e-3, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
  return new Map(Object.entries(tree).flatMap(([key, value]): [string, number][] => {
    const place = path === '' ? key : `${path}.${key}`;
    if (place.endsWith('autoscaling.cpu')) return [];
    if (typeof value === 'object' && !Array.isArray(value)) return [...numbersOf(value, place)];
    const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(|m|Mi|Gi|Ti)$/.exec(String(value)) ?? [];
    return amount === undefined ? [] : [[place, Number(amount) * (units[unit] ?? NaN)]];
  }));
}

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  properties?: Record<string, Schema>;
}

/** Keys of the schema that values.yaml does not have, but for lists of names that somebody may fill in. */
function unknownTo(values: Stage, schema: Schema, root: Schema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const place = path === '' ? key : `${path}.${key}`;
    if (['settings', 'secrets.refs'].includes(path)) return [];
    const value = values[key];
    if (value === undefined) return [place];
    const resolved = child.$ref === undefined ? child : (root.$defs?.[child.$ref.replace('#/$defs/', '')] ?? {});
    return typeof value === 'object' && !Array.isArray(value) ? unknownTo(value, resolved, root, place) : [];
  });
}
