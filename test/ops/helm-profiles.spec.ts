import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { opsTool } from '../support/ops-tools.js';
import { containersOf, HELM, helm, named, podsOf, rendered, valuesOf, type Manifest, type Pod } from './chart.js';
import { chartWithMonitoring, installations, PROFILES } from './installations.js';
import { laxities, offences } from './pod-security.js';

/** The oldest that the chart admits, and the newest whose schemas are at hand. */
const KUBERNETES = ['1.30', '1.37'];
const LONGEST_NAME = 63;
/** Behind the name of a CronJob its Jobs get eleven characters, and behind that of a StatefulSet its pods' revision as many. */
const LONGEST: Readonly<Record<string, number>> = { CronJob: 52, StatefulSet: 52 };

/** Of the environment that has the schemas. */
const validator = opsTool('kubernetes-validate', 'the chart is not compared with the schemas of Kubernetes; pip install kubernetes-validate');
const python = validator && join(dirname(validator), 'python3');

describe.skipIf(HELM === undefined)('the chart', () => {
  const chart = chartWithMonitoring();
  const all = HELM === undefined ? new Map<string, Manifest[]>() : new Map([...installations(chart)].map(([name, options]) => [name, rendered(options)]));
  afterAll(() => { rmSync(dirname(chart), { recursive: true }); });

  it.each(PROFILES)('is linted without a warning with %s', (file) => {
    const { status, stdout } = helm(['lint', '--strict', chart, ...valuesOf({ files: [file] })]);
    expect(stdout).not.toMatch(/\[(WARNING|ERROR)\]/);
    expect(status, stdout).toBe(0);
  });

  it.skipIf(python === undefined)('makes what Kubernetes takes, and the operators whose objects it makes', () => {
    const manifests = [...all].flatMap(([of, made]) => made.map((manifest) => ({ of, manifest })));
    expect(validated(manifests)).toEqual([]);
    // Each of those is made somewhere.
    expect([...new Set(manifests.map(({ manifest: { kind } }) => kind))].sort()).toEqual([
      'ConfigMap', 'CronJob', 'Deployment', 'ExternalSecret', 'HTTPRoute', 'HorizontalPodAutoscaler', 'Ingress', 'Job', 'NetworkPolicy', 'PersistentVolumeClaim', 'Pod', 'PodDisruptionBudget', 'PodMonitor', 'PrometheusRule', 'ScaledObject', 'Secret',
      'Service', 'ServiceAccount', 'ServiceMonitor', 'StatefulSet',
    ]);
    // A field that is misspelt is found, in our kinds and in those of others.
    const broken = (kind: string, change: (spec: Record<string, unknown>) => void): Manifest => {
      const manifest = structuredClone(manifests.find((one) => one.manifest.kind === kind)?.manifest);
      if (!manifest) throw new Error(`no ${kind}`);
      change(manifest.spec);
      return manifest;
    };
    const misspelt = ['Deployment', 'CronJob', 'NetworkPolicy', 'ScaledObject', 'ServiceMonitor', 'PodMonitor', 'PrometheusRule', 'ExternalSecret', 'HTTPRoute'].map((kind) => ({ of: 'misspelt', manifest: broken(kind, (spec) => { spec.misspelt = 1; }) }));
    expect(validated(misspelt)).toHaveLength(misspelt.length * KUBERNETES.length);
  });

  it('keeps every pod within the profile "restricted", without a token, with a root that cannot be written', () => {
    const pods = [...all].flatMap(([of, made]) => podsOf(made).map((pod) => ({ ...pod, owner: `${of}: ${pod.owner}` })));
    expect(pods.length).toBeGreaterThan(100);
    expect(pods.flatMap(offences)).toEqual([]);
    // A StatefulSet's volumes are claimed by itself.
    expect(pods.flatMap(laxities)).toEqual([]);
  });

  it.each<[rule: string, change: (pod: Pod) => void]>([
    ['Privileged Containers', (pod) => { security(pod).privileged = true; }],
    ['Capabilities', (pod) => { security(pod).capabilities = { drop: ['ALL'], add: ['SYS_ADMIN'] }; }],
    ['Capabilities', (pod) => { delete security(pod).capabilities; }],
    ['Host Namespaces', (pod) => { pod.template.spec.hostNetwork = true; }],
    ['Host Ports', (pod) => { for (const { ports } of containersOf(pod)) ports?.forEach((port) => { port.hostPort = 80; }); }],
    ['Host Probes / Lifecycle Hooks', (pod) => { for (const { readinessProbe } of containersOf(pod)) if (readinessProbe?.httpGet) readinessProbe.httpGet.host = '10.0.0.1'; }],
    ['Volume Types', (pod) => { pod.template.spec.volumes?.push({ name: 'host', hostPath: { path: '/' } }); }],
    ['Privilege Escalation', (pod) => { delete security(pod).allowPrivilegeEscalation; }],
    ['Running as Non-root', (pod) => { delete security(pod).runAsNonRoot; delete pod.template.spec.securityContext; }],
    ['Running as non-root user', (pod) => { security(pod).runAsUser = 0; }],
    ['Seccomp', (pod) => { security(pod).seccompProfile = { type: 'Unconfined' }; }],
    ['SELinux', (pod) => { security(pod).seLinuxOptions = { type: 'spc_t' }; }],
    ['AppArmor', (pod) => { security(pod).appArmorProfile = { type: 'Unconfined' }; }],
    ['Sysctls', (pod) => { pod.template.spec.securityContext = { sysctls: [{ name: 'kernel.msgmax' }] }; }],
    ['/proc Mount Type', (pod) => { security(pod).procMount = 'Unmasked'; }],
  ])('would be caught at an offence against "%s"', (rule, change) => {
    const [pod] = structuredClone(podsOf(all.get('values-onprem.yaml') ?? []).filter(({ owner }) => owner.endsWith('-api')));
    if (!pod) throw new Error('no API');
    change(pod);
    expect(offences(pod).map((offence) => offence.split(': ')[1])).toContain(rule);
  });

  it('gives names that fit and that no two objects share, however long the release is called', () => {
    for (const [of, made] of all) {
      const names = made.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      expect(new Set(names).size, of).toBe(names.length);
      for (const { kind, metadata } of made) {
        expect(metadata.name.length, `${of}: ${metadata.name}`).toBeLessThanOrEqual(LONGEST[kind] ?? LONGEST_NAME);
        for (const label of Object.values(metadata.labels ?? {})) expect(label.length, label).toBeLessThanOrEqual(LONGEST_NAME);
      }
    }
    const [one, other] = ['a', 'b'].map((last) => rendered({ files: ['values-onprem.yaml'], release: `${'r'.repeat(52)}${last}` }).map(({ kind, metadata }) => `${kind} ${metadata.name}`));
    expect(one?.filter((name) => other?.includes(name))).toEqual([]);
  });

  it('changes nothing that Kubernetes does not let be changed, from one version and one set of values to the next', () => {
    const before = rendered({ files: ['values-onprem.yaml'] });
    const after = rendered({ files: ['values-onprem.yaml', 'values-production.yaml', join(import.meta.dirname, 'values/everything.yaml')], isUpgrade: true });
    const frozen = ({ kind, spec }: Manifest): object => (kind === 'PersistentVolumeClaim' ? {} : kind === 'Deployment' ? { selector: spec.selector } : { selector: spec.selector, serviceName: spec.serviceName, claims: spec.volumeClaimTemplates });
    const compared = before.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
    expect(compared).toHaveLength(2);
    for (const manifest of compared) {
      const later = named(after, manifest.kind, manifest.metadata.name);
      expect(later && frozen(later), manifest.metadata.name).toEqual(frozen(manifest));
      expect(Object.keys((manifest.spec.selector as { matchLabels: object }).matchLabels)).not.toEqual(expect.arrayContaining(['helm.sh/chart']));
      expect(Object.keys((manifest.spec.selector as { matchLabels: object }).matchLabels)).not.toEqual(expect.arrayContaining(['app.kubernetes.io/version']));
    }
  });

  it('is what the documents tell an operator to write', () => {
    const documented = [...all].filter(([name]) => name.startsWith('docs/'));
    expect(documented.length).toBeGreaterThanOrEqual(5);
    // The names that its commands have.
    for (const [name, made] of documented) expect(named(made, 'Deployment', 'healthvision-api') && made.find(({ metadata }) => metadata.name.startsWith('healthvision-migrate')), name).toBeDefined();
  });

  it('puts rules, dashboards and routes in as they are, but for where the runbooks are', () => {
    const made = all.get('everything, KEDA') ?? [];
    const files = (folder: string): [name: string, text: string][] => readdirSync(join(chart, 'files', folder)).map((name) => [name, readFileSync(join(chart, 'files', folder, name), 'utf8')]);
    const written = files('prometheus').flatMap(([, text]) => (parse(text.replaceAll('https://healthvision.example/docs/operations/runbooks.md', 'https://wiki.hospital.example/healthvision/runbooks')) as { groups: object[] }).groups);
    expect(made.find(({ kind }) => kind === 'PrometheusRule')?.spec.groups).toEqual(written);
    expect(JSON.stringify(written)).toContain('{{ $labels.queue }}');
    expect(JSON.stringify(written)).toContain('"https://wiki.hospital.example/healthvision/runbooks#healthvision');
    expect(JSON.stringify(written)).not.toContain('healthvision.example/docs');
    const dashboards = made.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.labels?.grafana_dashboard === '1');
    expect(Object.fromEntries(dashboards.flatMap(({ data }) => Object.entries(data ?? {})).map(([name, text]) => [name, JSON.parse(text) as unknown]))).toEqual(Object.fromEntries(files('grafana').map(([name, text]) => [name, JSON.parse(text) as unknown])));
    expect(parse(named(made, 'Secret', 'hv-healthvision-alertmanager')?.stringData?.['alertmanager.yaml'] ?? '')).toEqual(parse(files('alertmanager')[0]?.[1] ?? ''));
  });
});

function security(pod: Pod): NonNullable<ReturnType<typeof containersOf>[number]['securityContext']> {
  const [container] = containersOf(pod);
  if (!container?.securityContext) throw new Error('no container');
  return container.securityContext;
}

/** One process for all of them: reading the schemas is what takes long. */
function validated(manifests: readonly { of: string; manifest: Manifest }[]): string[] {
  const { status, stdout, stderr } = spawnSync(python ?? '', [join(import.meta.dirname, 'validate_manifests.py')], {
    input: JSON.stringify({ versions: KUBERNETES, crds: join(import.meta.dirname, 'crd-schemas'), manifests }), encoding: 'utf8', maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as string[];
}
