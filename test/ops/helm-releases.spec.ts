import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { containersOf, HELM, named, podOf, podsOf, rendered, selects, type Manifest, type RenderOptions } from './chart.js';

const ONPREM = 'values-onprem.yaml';
const VALUES = join(import.meta.dirname, 'values');

describe.skipIf(HELM === undefined)('an upgrade', () => {
  it('migrates before it touches anything, with the image of the new version, and ends there when that fails', () => {
    const made = release({ set: ['image.tag=0.2.0'], isUpgrade: true });
    const job = found(made, 'Job', 'hv-healthvision-migrate');
    expect(job.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
    // One that failed stays, with its log.
    expect(job.metadata.annotations?.['helm.sh/hook-delete-policy']).not.toContain('hook-failed');
    expect(imagesOf(job)).toEqual(['healthvision:0.2.0']);
    // What its pod needs comes before it, and is no part of the release either.
    for (const [kind, name] of [['ServiceAccount', 'hv-healthvision-migrate'], ['NetworkPolicy', 'hv-healthvision-migrate']] as const) {
      const { annotations } = found(made, kind, name).metadata;
      expect(annotations?.['helm.sh/hook']).toBe('pre-install,pre-upgrade');
      expect(Number(annotations?.['helm.sh/hook-weight'])).toBeLessThan(Number(job.metadata.annotations?.['helm.sh/hook-weight']));
    }
    const volumes = podOf(job)?.template.spec.volumes ?? [];
    expect(volumes.filter((volume) => 'persistentVolumeClaim' in volume)).toEqual([]);
  });

  it.each(['values-evaluation.yaml', 'values-eks.yaml'])('migrates beside a first install whose database or Secret comes with it: %s', (file) => {
    const job = found(rendered({ files: [file] }), 'Job', 'hv-healthvision-migrate-first');
    expect(job.metadata.annotations?.['helm.sh/hook']).toBeUndefined();
    expect(found(rendered({ files: [file], isUpgrade: true }), 'Job', 'hv-healthvision-migrate').metadata.annotations?.['helm.sh/hook']).toBe('pre-install,pre-upgrade');
  });

  it('gives the owner of the tables to nobody who serves requests or runs jobs', () => {
    const with_ = podsOf(release({ set: ['database.migrationUrl=true'] })).filter((pod) => containersOf(pod).some(({ env }) => env?.some(({ name }) => name === 'DATABASE_MIGRATION_URL')));
    expect(with_.map(({ owner }) => owner)).toEqual(['CronJob hv-healthvision-backup', 'Job hv-healthvision-migrate']);
  });

  it('leaves no moment without a pod that is ready, and drains what stops', () => {
    for (const name of ['api', 'cpu-worker']) {
      const { spec } = found(release(), 'Deployment', `hv-healthvision-${name}`);
      expect(spec.strategy).toMatchObject({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0 } });
    }
    const [api] = podsOf(release()).filter(({ owner }) => owner.endsWith('-api'));
    expect(api?.template.spec).toMatchObject({ terminationGracePeriodSeconds: 60, containers: [{ lifecycle: { preStop: { sleep: { seconds: 5 } } } }] });
  });
});

describe.skipIf(HELM === undefined)('blue and green', () => {
  const beside = ['deployment.strategy=blueGreen', 'deployment.blueGreen.blue.tag=1.0.0', 'deployment.blueGreen.green.tag=1.1.0', 'deployment.blueGreen.previewHost=preview.hospital.example'];
  const serving = (made: Manifest[], service = 'hv-healthvision-api'): string[] => {
    const { spec } = found(made, 'Service', service);
    return made.filter((manifest) => manifest.kind === 'Deployment' && selects({ matchLabels: spec.selector as Record<string, string> }, podOf(manifest)?.template.metadata.labels)).flatMap(imagesOf);
  };
  const workers = (made: Manifest[]): string[] => imagesOf(found(made, 'Deployment', 'hv-healthvision-cpu-worker'));

  it('begins from a rolling release without a pod being replaced', () => {
    const before = release({ set: ['image.tag=1.0.0'] });
    const after = release({ set: ['image.tag=1.0.0', 'deployment.strategy=blueGreen'] });
    expect(found(after, 'Deployment', 'hv-healthvision-api').spec).toEqual(found(before, 'Deployment', 'hv-healthvision-api').spec);
    expect(found(after, 'Service', 'hv-healthvision-api').spec).toEqual(found(before, 'Service', 'hv-healthvision-api').spec);
  });

  it('shows the new version at a host of its own, while the other has all traffic and works', () => {
    const made = release({ set: beside });
    expect(serving(made)).toEqual(['healthvision:1.0.0']);
    expect(serving(made, 'hv-healthvision-api-preview')).toEqual(['healthvision:1.1.0']);
    expect(workers(made)).toEqual(['healthvision:1.0.0']);
    expect(imagesOf(found(made, 'Job', 'hv-healthvision-migrate'))).toEqual(['healthvision:1.1.0']);
    expect(found(made, 'Ingress', 'hv-healthvision-preview').spec).toMatchObject({ rules: [{ host: 'preview.hospital.example' }] });
    expect(named(made, 'Ingress', 'hv-healthvision-canary')).toBeUndefined();
  });

  it('shares the traffic out by weight: nginx, ALB, Gateway API', () => {
    const weighted = [...beside, 'deployment.blueGreen.canaryWeight=25'];
    expect(found(release({ set: weighted }), 'Ingress', 'hv-healthvision-canary').metadata.annotations).toMatchObject({ 'nginx.ingress.kubernetes.io/canary': 'true', 'nginx.ingress.kubernetes.io/canary-weight': '25' });
    const alb = found(rendered({ files: ['values-eks.yaml'], set: weighted }), 'Ingress', 'hv-healthvision').metadata.annotations?.['alb.ingress.kubernetes.io/actions.weighted'] ?? '';
    expect((JSON.parse(alb) as { forwardConfig: { targetGroups: object[] } }).forwardConfig.targetGroups).toEqual([{ serviceName: 'hv-healthvision-api', servicePort: '8080', weight: 75 }, { serviceName: 'hv-healthvision-api-preview', servicePort: '8080', weight: 25 }]);
    const route = found(release({ set: [...weighted, 'ingress.enabled=false', 'gateway.enabled=true', 'gateway.parentRefs[0].name=public'] }), 'HTTPRoute', 'hv-healthvision');
    expect(route.spec).toMatchObject({ rules: [{ backendRefs: [{ name: 'hv-healthvision-api', weight: 75 }, { name: 'hv-healthvision-api-preview', weight: 25 }] }] });
  });

  it('promotes the new version, and rolls back, by one switch', () => {
    const promoted = release({ set: [...beside, 'deployment.blueGreen.active=green'] });
    expect(serving(promoted)).toEqual(['healthvision:1.1.0']);
    expect(serving(promoted, 'hv-healthvision-api-preview')).toEqual(['healthvision:1.0.0']);
    expect(workers(promoted)).toEqual(['healthvision:1.1.0']);
    const back = release({ set: [...beside, 'deployment.blueGreen.active=blue'] });
    expect(serving(back)).toEqual(['healthvision:1.0.0']);
    // The schema stays the newer one.
    expect(imagesOf(found(back, 'Job', 'hv-healthvision-migrate'))).toEqual(['healthvision:1.1.0']);
    const green = found(promoted, 'Deployment', 'hv-healthvision-api-green');
    expect(found(back, 'Deployment', 'hv-healthvision-api-green')).toEqual(green);
  });
});

describe.skipIf(HELM === undefined)('workers', () => {
  it('are scaled by KEDA where the cluster has it, else by an HPA on the same metric', () => {
    const gpu = ['gpuWorker.enabled=true'];
    const keda = release({ set: gpu, apiVersions: ['keda.sh/v1alpha1'] });
    expect(keda.filter(({ kind }) => kind === 'ScaledObject').map(({ spec }) => [spec.minReplicaCount, spec.maxReplicaCount])).toEqual([[2, 20], [2, 20]]);
    expect(named(keda, 'HorizontalPodAutoscaler', 'hv-healthvision-cpu-worker')).toBeUndefined();
    const hpa = release({ set: gpu });
    expect(hpa.filter(({ kind }) => kind === 'ScaledObject')).toEqual([]);
    expect(found(hpa, 'HorizontalPodAutoscaler', 'hv-healthvision-gpu-worker').spec).toMatchObject({ minReplicas: 2, maxReplicas: 20, metrics: [{ type: 'External' }] });
    // Whoever scales is not contradicted by the next upgrade.
    for (const { spec } of keda.filter(({ kind }) => kind === 'Deployment')) expect(spec.replicas).toBeUndefined();
    expect(found(keda, 'HorizontalPodAutoscaler', 'hv-healthvision-api').spec).toMatchObject({ minReplicas: 2, maxReplicas: 10 });
  });

  it('with a GPU ask for one each, and leave everything else to the others', () => {
    const made = release({ set: ['gpuWorker.enabled=true', 'gpuWorker.gpu.resource=nvidia.com/mig-2g.20gb'] });
    const [gpu] = podsOf(made).filter(({ owner }) => owner.endsWith('gpu-worker'));
    expect(gpu?.template.spec).toMatchObject({
      nodeSelector: { 'nvidia.com/gpu.present': 'true' }, tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
      containers: [{ image: 'healthvision:0.1.0-gpu', resources: { limits: { 'nvidia.com/mig-2g.20gb': 1 } } }],
    });
    const queues = (owner: string): string[] => podsOf(made).filter((pod) => pod.owner.endsWith(owner)).flatMap(containersOf).flatMap(({ env }) => env?.find(({ name }) => name === 'WORKER_QUEUES')?.value?.split(',') ?? []);
    expect(queues('gpu-worker')).toEqual(['run', 'check-model']);
    expect(queues('cpu-worker')).toContain('settle');
    expect(queues('cpu-worker').filter((queue) => queues('gpu-worker').includes(queue))).toEqual([]);
  });
});

describe.skipIf(HELM === undefined)('secrets', () => {
  it('go to who has a use for them', () => {
    const made = release();
    const whose = (variable: string): string[] => podsOf(made).filter((pod) => containersOf(pod).some(({ env }) => env?.some(({ name }) => name === variable))).map(({ owner }) => owner);
    expect(whose('BOOTSTRAP_ADMIN_PASSWORD')).toEqual(['Deployment hv-healthvision-api']);
    expect(whose('SMTP_URL')).toEqual(['Deployment hv-healthvision-cpu-worker']);
  });

  it('come from Vault in files that its agent writes with a token for Vault alone', () => {
    const [api] = podsOf(rendered({ files: [ONPREM, join(VALUES, 'vault.yaml')] })).filter(({ owner }) => owner.endsWith('-api'));
    const { annotations = {} } = api?.template.metadata ?? {};
    expect(annotations).toMatchObject({ 'vault.hashicorp.com/agent-inject': 'true', 'vault.hashicorp.com/agent-pre-populate-only': 'true', 'vault.hashicorp.com/role': 'healthvision', 'vault.hashicorp.com/agent-service-account-token-volume-name': 'vault-token' });
    expect(annotations['vault.hashicorp.com/agent-inject-template-master-key']).toBe('{{- with secret "secret/data/healthvision" -}}{{ .Data.data.MASTER_KEY }}{{- end -}}');
    expect(api?.template.spec.volumes).toContainEqual({ name: 'vault-token', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 3600 } }] } });
    expect(api?.template.spec.containers[0]?.env).toContainEqual({ name: 'MASTER_KEY_FILE', value: '/vault/secrets/master-key' });
  });

  it('are made up for an evaluation: a master key of 32 bytes, and URLs that name the servers', () => {
    const secret = found(rendered({ files: ['values-evaluation.yaml'] }), 'Secret', 'hv-healthvision-secrets');
    expect(Buffer.from(secret.stringData?.MASTER_KEY ?? '', 'base64')).toHaveLength(32);
    expect(secret.stringData?.DATABASE_URL).toMatch(/^postgresql:\/\/postgres:\w{32}@hv-healthvision-postgresql:5432\/healthvision$/);
    expect(secret.metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
  });
});

describe.skipIf(HELM === undefined)('a restore', () => {
  it('has the installation for itself', () => {
    const made = release({ set: ['restore.enabled=true'] });
    for (const { metadata, spec } of made.filter(({ kind }) => kind === 'Deployment')) expect(spec.replicas, metadata.name).toBe(0);
    for (const { metadata, spec } of made.filter(({ kind }) => kind === 'CronJob')) expect(spec.suspend, metadata.name).toBe(true);
    expect(made.filter(({ kind }) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(kind))).toEqual([]);
    expect(made.filter(({ kind }) => kind === 'Job').map(({ metadata }) => metadata.name)).toEqual([expect.stringMatching(/^hv-healthvision-restore-[0-9a-f]{8}$/)]);
  });
});

describe.skipIf(HELM === undefined)('the way in', () => {
  it('lets uploads of gigabytes and endless events through', () => {
    const { annotations } = found(release(), 'Ingress', 'hv-healthvision').metadata;
    expect(annotations).toMatchObject({
      'nginx.ingress.kubernetes.io/proxy-body-size': '0', 'nginx.ingress.kubernetes.io/proxy-request-buffering': 'off', 'nginx.ingress.kubernetes.io/proxy-buffering': 'off',
      'nginx.ingress.kubernetes.io/proxy-read-timeout': '3600', 'nginx.ingress.kubernetes.io/proxy-send-timeout': '3600',
    });
  });

  it.each<[how: string, options: RenderOptions, annotation: object]>([
    ['an annotation', { set: ['ingress.tls13=snippet'] }, { 'nginx.ingress.kubernetes.io/server-snippet': 'ssl_protocols TLSv1.3;' }],
    ['the pod', { set: ['ingress.tls13=passthrough', 'tls.enabled=true', 'tls.existingSecret=tls'] }, { 'nginx.ingress.kubernetes.io/ssl-passthrough': 'true', 'nginx.ingress.kubernetes.io/backend-protocol': 'HTTPS' }],
    ['a policy of the ALB', { files: ['values-eks.yaml'] }, { 'alb.ingress.kubernetes.io/ssl-policy': 'ELBSecurityPolicy-TLS13-1-3-2021-06' }],
  ])('speaks TLS 1.3, by %s', (_how, options, annotation) => {
    expect(found(release(options), 'Ingress', 'hv-healthvision').metadata.annotations).toMatchObject(annotation);
  });

  it('counts one proxy in front, and none where the pod itself ends TLS', () => {
    const proxies = (options: RenderOptions): string | undefined => podsOf(release(options)).filter(({ owner }) => owner.endsWith('-api')).flatMap(containersOf)[0]?.env?.find(({ name }) => name === 'TRUST_PROXY')?.value;
    expect(proxies({})).toBe('1');
    expect(proxies({ set: ['settings.TRUST_PROXY=2'] })).toBe('2');
    expect(proxies({ set: ['ingress.tls13=passthrough', 'tls.enabled=true', 'tls.existingSecret=tls'] })).toBeUndefined();
    expect(proxies({ set: ['ingress.enabled=false'] })).toBeUndefined();
  });
});

describe.skipIf(HELM === undefined)('networks', () => {
  it('deny by default, and let webhooks reach public addresses only', () => {
    const made = release();
    const deny = found(made, 'NetworkPolicy', 'hv-healthvision-deny').spec;
    expect(deny).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
    expect(deny.ingress ?? deny.egress).toBeUndefined();
    for (const { owner, template } of podsOf(made)) expect(selects(deny.podSelector as object, template.metadata.labels), owner).toBe(true);
    const [webhooks] = found(made, 'NetworkPolicy', 'hv-healthvision-outside').spec.egress as { to: { ipBlock: { cidr: string; except: string[] } }[] }[];
    expect(webhooks?.to[0]?.ipBlock).toMatchObject({ cidr: '0.0.0.0/0', except: expect.arrayContaining(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16']) as string[] });
  });

  it('let GPU workers reach database, queue and blobs, and nothing else', () => {
    const made = release({ set: ['gpuWorker.enabled=true', 'tracing.endpoint='] });
    const [gpu] = podsOf(made).filter(({ owner }) => owner.endsWith('gpu-worker'));
    const out = made.filter(({ kind, spec }) => kind === 'NetworkPolicy' && spec.egress !== undefined && selects(spec.podSelector as object, gpu?.template.metadata.labels));
    expect(out.map(({ metadata }) => metadata.name).sort()).toEqual(['hv-healthvision-names', 'hv-healthvision-stores']);
  });
});

describe.skipIf(HELM === undefined)('a mirror', () => {
  it('has every image', () => {
    const made = [...rendered({ files: [ONPREM, join(VALUES, 'everything.yaml')] }), ...rendered({ files: ['values-evaluation.yaml'], set: ['global.imageRegistry=registry.hospital.example/mirror'] })];
    const images = podsOf(made).flatMap(containersOf).map(({ image }) => image);
    expect(images.filter((image) => !image.startsWith('registry.hospital.example/mirror/'))).toEqual([]);
    expect([...new Set(images)].map((image) => image.replace(/^.*mirror\//, '').replace(/:.*$/, '')).sort()).toEqual(['healthvision', 'healthvision', 'healthvision', 'library/postgres', 'library/redis', 'minio/minio', 'rclone/rclone']);
  });
});

function release(options: RenderOptions = {}): Manifest[] {
  return rendered({ files: [ONPREM], ...options });
}

function found(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const manifest = named(manifests, kind, name);
  if (!manifest) throw new Error(`no ${kind} ${name}`);
  return manifest;
}

function imagesOf(manifest: Manifest): string[] {
  const pod = podOf(manifest);
  return pod ? containersOf(pod).map(({ image }) => image) : [];
}
