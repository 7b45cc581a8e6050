import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../support/product.js';
import { CHART, type RenderOptions } from './chart.js';

export const PLACES = ['values-onprem.yaml', 'values-eks.yaml'] as const;
export const STAGES = ['values-dev.yaml', 'values-test.yaml', 'values-preprod.yaml', 'values-production.yaml'] as const;
export const PROFILES = [...PLACES, 'values-evaluation.yaml', ...STAGES] as const;

const KEDA = ['keda.sh/v1alpha1'];
const HERE = import.meta.dirname;
const values = (name: string): string => join(HERE, 'values', `${name}.yaml`);

/**
 * The ways to install that tests render: the profiles, alone and together, what the documents tell to write, and what none of them switches on.
 *
 * @param chart  of `chartWithMonitoring`
 */
export function installations(chart: string): ReadonlyMap<string, RenderOptions> {
  const onprem = 'values-onprem.yaml';
  return new Map<string, RenderOptions>([
    ...PROFILES.map((file): [string, RenderOptions] => [file, { files: [file], chart }]),
    ...PLACES.flatMap((place) => STAGES.map((stage): [string, RenderOptions] => [`${place} ${stage}`, { files: [place, stage], chart }])),
    ['everything, KEDA', { files: [onprem, values('everything')], apiVersions: KEDA, chart }],
    ['everything, no KEDA', { files: [onprem, values('everything')], chart }],
    ['everything, upgrade', { files: [onprem, values('everything')], apiVersions: KEDA, isUpgrade: true, chart }],
    ['blobs on a volume', { files: [values('volume')], chart }],
    ['secrets from Vault', { files: [onprem, values('vault')], chart }],
    ['a restore', { files: [onprem], set: ['restore.enabled=true', 'restore.backup=20261129T020304567Z-0a1b2c', 'backup.recipients={age1qqqq}', 'backup.verify.enabled=false', 'restore.identitySecret=identity'], chart }],
    ['Gateway API, a share for the new version', { files: [onprem], set: ['ingress.enabled=false', 'gateway.enabled=true', 'gateway.parentRefs[0].name=public', 'deployment.strategy=blueGreen', 'deployment.blueGreen.green.tag=0.2.0', 'deployment.blueGreen.canaryWeight=10', 'deployment.blueGreen.previewHost=preview.hospital.example'], chart }],
    ['ALB, a share for the new version', { files: ['values-eks.yaml'], set: ['deployment.strategy=blueGreen', 'deployment.blueGreen.green.tag=0.2.0', 'deployment.blueGreen.canaryWeight=10'], chart }],
    ['a part of a GPU', { files: ['values-eks.yaml'], set: ['gpuWorker.gpu.resource=nvidia.com/mig-1g.10gb'], chart }],
    ['a long name', { files: [onprem, values('everything')], release: 'r'.repeat(53), apiVersions: KEDA, chart }],
    ...documented(chart),
    ['an evaluation with everything', { files: ['values-evaluation.yaml'], set: ['backup.enabled=true', 'auditVerify.enabled=true', 'queue.backend=postgres', 'podSecurity.fixedIds=false'], chart }],
  ]);
}

/** What an operator has who follows docs/operations/helm.md: its blocks that begin with `# site.yaml, after …`, put into files. */
function documented(chart: string): [string, RenderOptions][] {
  const blocks = readFileSync(join(ROOT, 'docs/operations/helm.md'), 'utf8').matchAll(/^```yaml\n(# site\.yaml, after ([^\n:]+)[^\n]*\n[\s\S]*?)^```$/gm);
  return [...blocks].map(([, text = '', after = ''], index) => {
    const site = join(dirname(chart), `site-${String(index)}.yaml`);
    writeFileSync(site, text);
    return [`docs/operations/helm.md, block ${String(index + 1)}`, { files: [...after.split(' and '), site], release: 'healthvision', namespace: 'healthvision', chart }];
  });
}

/** The chart in a folder of its own, where rules, dashboards and routes are at least these: the product's own come beside them. */
export function chartWithMonitoring(): string {
  const chart = join(mkdtempSync(join(tmpdir(), 'healthvision-chart-')), 'healthvision');
  cpSync(CHART, chart, { recursive: true });
  const place = (path: string, content: string): void => {
    mkdirSync(join(chart, path, '..'), { recursive: true });
    writeFileSync(join(chart, path), content);
  };
  place('files/prometheus/sample.rules.yaml', 'groups:\n  - name: sample\n    rules:\n      - { alert: Sample, expr: max by (queue) (healthvision_poison_jobs) > 0, for: 5m, annotations: { summary: "{{ $labels.queue }}" } }\n');
  place('files/grafana/Sample.json', '{"title": "Sample", "panels": [{"targets": [{"expr": "sum by (queue) (healthvision_queue_jobs)", "legendFormat": "{{queue}}"}]}]}\n');
  if (!existsSync(join(CHART, 'files/alertmanager/alertmanager.yaml'))) place('files/alertmanager/alertmanager.yaml', 'route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n');
  return chart;
}
