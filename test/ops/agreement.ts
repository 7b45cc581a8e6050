import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseConfig, ConfigurationError } from '../../src/platform/config.js';
import { containersOf, named, podOf, podsOf, selects, type Container, type Manifest, type Pod, type Selector } from './chart.js';
import { refusalOf, type RunningCode } from './running-code.js';

/** Where Vault's agent writes. */
const VAULT = '/vault/secrets/';
/** Labels that Prometheus and its operator add. */
const TARGET_LABELS = new Set(['namespace', 'pod', 'job', 'instance']);
const JOBS = new Set(['healthvision-api', 'healthvision-worker']);

/** Where the rendered chart says something else than the code, each in a line: `what: where: …`. */
export function disagreements(manifests: readonly Manifest[], code: RunningCode): string[] {
  return [
    ...podsOf(manifests).flatMap((pod) => [...containersOf(pod).filter(isProduct).flatMap((container) => containerFaults(pod, container, manifests, code)), ...podFaults(pod, manifests, code)]),
    ...manifests.flatMap((manifest) => manifestFaults(manifest, manifests, code)),
    ...queuesWithoutWorker(manifests, code),
  ];
}

function isProduct({ image }: Container): boolean {
  return /(^|\/)healthvision[:@]/.test(image);
}

function containerFaults(pod: Pod, container: Container, manifests: readonly Manifest[], code: RunningCode): string[] {
  const where = `${pod.owner}/${container.name}`;
  const faults: string[] = [];
  const env = container.env ?? [];
  const variable = (name: string): string | undefined => env.find((one) => one.name === name)?.value;
  for (const { name, valueFrom } of env) {
    if (!code.variables.has(name) && container.args?.some((arg) => arg.includes(`$(${name})`)) !== true) faults.push(`environment: ${where}: nothing reads ${name}`);
    const ref = valueFrom?.secretKeyRef;
    // Keys are named like the variables, but in Secrets of others.
    if (ref && ref.name !== 'database-app' && ref.key !== name) faults.push(`secret key: ${where}: ${name} comes from ${ref.key}`);
    if (valueFrom?.resourceFieldRef && valueFrom.resourceFieldRef.containerName !== container.name) faults.push(`container: ${where}: ${name} asks ${valueFrom.resourceFieldRef.containerName}`);
  }
  for (const name of env.map((one) => one.name).filter((one, index, names) => names.indexOf(one) !== index)) faults.push(`environment: ${where}: ${name} is given twice`);
  faults.push(...valueFaults(container, manifests).map((fault) => `environment: ${where}: ${fault}`));

  const refusal = refusalOf(code.commands, container.args ?? []);
  if (refusal !== undefined) faults.push(`command: ${where}: ${(container.args ?? []).join(' ')}: ${refusal}`);

  const mounts = (container.volumeMounts ?? []).map(({ mountPath }) => mountPath);
  for (const path of [...env.map(({ value }) => value), ...(container.args ?? [])].filter((text) => text?.startsWith('/') === true && !text.startsWith('/app/') && !text.startsWith(VAULT))) {
    if (!mounts.some((mount) => path === mount || path?.startsWith(`${mount}/`))) faults.push(`mount: ${where}: nothing is mounted at ${path ?? ''}`);
  }
  const dataDir = variable('DATA_DIR');
  const queue = mounts.find((mount) => dataDir !== undefined && mount.startsWith(`${dataDir}/`));
  if (dataDir !== undefined && queue !== undefined && queue !== join(dataDir, code.auditQueue)) faults.push(`mount: ${where}: ${queue} is not where events wait`);

  for (const name of variable('WORKER_QUEUES')?.split(',') ?? []) if (!code.queues.has(name)) faults.push(`queue: ${where}: there is no queue ${name}`);
  const listens: Readonly<Record<string, string | undefined>> = { http: variable('PORT'), metrics: variable('METRICS_PORT'), dimse: variable('DIMSE_PORT'), webhook: /:(\d+)$/.exec(optionOf(container, '--webhook-listen') ?? '')?.[1] };
  for (const { name, containerPort } of container.ports ?? []) if (String(containerPort) !== listens[name]) faults.push(`port: ${where}: ${name} is ${String(containerPort)}, and the product listens at ${listens[name] ?? 'no port of this name'}`);
  for (const [what, probe] of Object.entries({ startupProbe: container.startupProbe, livenessProbe: container.livenessProbe, readinessProbe: container.readinessProbe })) {
    const asked = probe?.httpGet;
    if (!asked) {
      if (container.args?.[0] === 'start') faults.push(`path: ${where}: there is no ${what}`);
      continue;
    }
    if (asked.path !== (what === 'readinessProbe' ? '/ready' : '/health') || !code.paths.has(asked.path)) faults.push(`path: ${where}: ${what} asks ${asked.path}`);
    // The port of metrics answers nothing else.
    if (asked.port !== 'http' || listens.http === undefined) faults.push(`port: ${where}: ${what} asks ${String(asked.port)}`);
    if ((asked.scheme === 'HTTPS') !== (variable('TLS_CERT_FILE') !== undefined)) faults.push(`port: ${where}: ${what} speaks ${asked.scheme ?? 'HTTP'}`);
  }
  return faults;
}

function optionOf({ args = [] }: Container, option: string): string | undefined {
  return args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
}

/** For what is not in the chart: secrets as good as production wants them. */
function standIn(variable: string): string {
  const secret = randomBytes(24).toString('hex');
  const values: Readonly<Record<string, string>> = {
    MASTER_KEY: randomBytes(32).toString('base64'), MASTER_KEY_PREVIOUS: randomBytes(32).toString('base64'), DATABASE_URL: `postgresql://healthvision:${secret}@database/healthvision`, DATABASE_MIGRATION_URL: `postgresql://owner:${secret}@database/healthvision`,
    REDIS_URL: `rediss://:${secret}@redis`, SMTP_URL: `smtps://healthvision:${secret}@relay`, INFERENCE_THREADS: '4',
  };
  return values[variable] ?? secret;
}

/** What the configuration itself says of the values; secrets are those that the chart makes up, or stood in for, and files are not there. */
function valueFaults(container: Container, manifests: readonly Manifest[]): string[] {
  const env = Object.fromEntries((container.env ?? []).map(({ name, value, valueFrom }): [string, string] => {
    if (value?.startsWith(VAULT) === true) return [name.replace(/_FILE$/, ''), standIn(name.replace(/_FILE$/, ''))];
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {};
    return [name, value ?? named(manifests, 'Secret', secret)?.stringData?.[key] ?? standIn(name)];
  }));
  if (!('MASTER_KEY' in env) && container.args?.[0] !== 'start') return [];
  try {
    parseConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.lines.filter((line) => !line.includes('there is no such file')
      // Keys that are files cannot be read here.
      && !line.startsWith('MODEL_SIGNERS: is required'));
  }
}

/** Files of Vault's agent that nothing reads, and files that it does not write. */
function vaultFaults(pod: Pod): string[] {
  const annotations = pod.template.metadata.annotations ?? {};
  const templates = new Map(Object.entries(annotations).flatMap(([name, template]) => { const [, file] = /^vault\.hashicorp\.com\/agent-inject-template-(.+)$/.exec(name) ?? []; return file === undefined ? [] : [[file, template] as const]; }));
  const read = new Map(containersOf(pod).flatMap(({ env }) => env ?? []).flatMap(({ name, value }) => (value?.startsWith(VAULT) === true ? [[value.slice(VAULT.length), name.replace(/_FILE$/, '')] as const] : [])));
  return [
    ...[...templates.keys()].filter((file) => !read.has(file)).map((file) => `secret key: ${pod.owner}: nothing reads ${VAULT}${file}`),
    ...[...read].filter(([file, name]) => templates.get(file)?.includes(`.${name} }}`) !== true || annotations[`vault.hashicorp.com/agent-inject-secret-${file}`] === undefined).map(([file, name]) => `secret key: ${pod.owner}: ${VAULT}${file} is not ${name}`),
  ];
}

function podFaults(pod: Pod, manifests: readonly Manifest[], code: RunningCode): string[] {
  const { spec, metadata } = pod.template;
  const faults: string[] = [];
  const has = (kind: string, name: string | undefined): boolean => manifests.some((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (spec.serviceAccountName !== undefined && !has('ServiceAccount', spec.serviceAccountName)) faults.push(`reference: ${pod.owner}: there is no ServiceAccount ${spec.serviceAccountName}`);
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  if (!pod.owner.startsWith('StatefulSet')) for (const { volumeMounts } of containersOf(pod)) for (const { name } of volumeMounts ?? []) if (!volumes.has(name)) faults.push(`reference: ${pod.owner}: there is no volume ${name}`);
  for (const volume of spec.volumes ?? []) {
    const claim = (volume as { persistentVolumeClaim?: { claimName: string } }).persistentVolumeClaim?.claimName;
    // Claims that are there already are named in the values of the tests.
    if (claim !== undefined && !has('PersistentVolumeClaim', claim) && claim !== 'packs') faults.push(`reference: ${pod.owner}: there is no claim ${claim}`);
  }
  const annotations = metadata.annotations ?? {};
  const [metrics] = containersOf(pod).flatMap(({ ports }) => ports ?? []).filter(({ name }) => name === 'metrics');
  if (annotations['prometheus.io/port'] !== undefined && annotations['prometheus.io/port'] !== String(metrics?.containerPort)) faults.push(`port: ${pod.owner}: prometheus.io/port is ${annotations['prometheus.io/port']}`);
  if (annotations['prometheus.io/path'] !== undefined && !code.paths.has(annotations['prometheus.io/path'])) faults.push(`path: ${pod.owner}: prometheus.io/path is ${annotations['prometheus.io/path']}`);
  faults.push(...vaultFaults(pod));
  const [container] = spec.containers;
  if (container?.args?.[0] === 'start' && (spec.terminationGracePeriodSeconds ?? 30) < Math.max(code.drainSeconds, code.graceSeconds) + (container.lifecycle?.preStop?.sleep?.seconds ?? 0) + 5) faults.push(`time: ${pod.owner}: it is killed before it has handed back what runs`);
  return faults;
}

function manifestFaults(manifest: Manifest, manifests: readonly Manifest[], code: RunningCode): string[] {
  const { kind, metadata, spec } = manifest;
  const where = `${kind} ${metadata.name}`;
  const pods = podsOf(manifests).filter(({ owner }) => !owner.startsWith('CronJob') || kind === 'NetworkPolicy');
  const selected = (selector: Selector): Pod[] => pods.filter(({ template }) => selects(selector, template.metadata.labels));
  const portNames = (some: readonly Pod[]): Set<string> => new Set(some.flatMap((pod) => containersOf(pod).flatMap(({ ports }) => ports?.map(({ name }) => name) ?? [])));
  if (kind === 'Service') {
    const behind = selected({ matchLabels: spec.selector as Record<string, string> });
    const ports = spec.ports as { name: string; targetPort: string }[];
    return [...(behind.length === 0 ? [`selector: ${where}: selects no pod`] : []), ...ports.filter(({ targetPort }) => !portNames(behind).has(targetPort)).map(({ targetPort }) => `port: ${where}: no pod has a port ${targetPort}`)];
  }
  if (kind === 'Ingress') {
    const health = metadata.annotations?.['alb.ingress.kubernetes.io/healthcheck-path'];
    return [...backendsOf(spec).flatMap(({ name, port }) => backendFaults(where, manifests, name, port)), ...(health === undefined || code.paths.has(health) ? [] : [`path: ${where}: healthcheck-path is ${health}`])];
  }
  if (kind === 'HTTPRoute') return (spec.rules as { backendRefs: { name: string; port: number }[] }[]).flatMap(({ backendRefs }) => backendRefs.flatMap(({ name, port }) => backendFaults(where, manifests, name, port)));
  if (kind === 'NetworkPolicy') return networkFaults(where, spec, selected, portNames);
  if (kind === 'PodDisruptionBudget') return selected(spec.selector as Selector).length === 0 ? [`selector: ${where}: selects no pod`] : [];
  if (kind === 'HorizontalPodAutoscaler' || kind === 'ScaledObject') return scalingFaults(manifest, manifests, code);
  if (kind === 'ServiceMonitor' || kind === 'PodMonitor') return monitorFaults(manifest, manifests, code);
  if (kind === 'ExternalSecret') return (spec.data as { secretKey: string; remoteRef: { property: string } }[]).filter(({ secretKey, remoteRef }) => !code.settings.has(secretKey) || remoteRef.property !== secretKey).map(({ secretKey }) => `secret key: ${where}: nothing reads ${secretKey}`);
  // Rules and dashboards are the files of the chart, which have tests of their own.
  return [];
}

function backendsOf(spec: Record<string, unknown>): { name: string; port: string }[] {
  const rules = spec.rules as { http: { paths: { backend: { service: { name: string; port: { name: string } } } }[] } }[];
  return rules.flatMap(({ http }) => http.paths.map(({ backend }) => ({ name: backend.service.name, port: backend.service.port.name })));
}

function backendFaults(where: string, manifests: readonly Manifest[], name: string, port: string | number): string[] {
  // The action of an ALB that shares the traffic out.
  if (name === 'weighted' && port === 'use-annotation') return [];
  const service = manifests.find((manifest) => manifest.kind === 'Service' && manifest.metadata.name === name);
  const ports = (service?.spec.ports ?? []) as { name: string; port: number }[];
  if (!service) return [`reference: ${where}: there is no Service ${name}`];
  return ports.some((one) => one.name === port || one.port === port) ? [] : [`port: ${where}: ${name} has no port ${String(port)}`];
}

function networkFaults(where: string, spec: Record<string, unknown>, selected: (selector: Selector) => Pod[], portNames: (pods: readonly Pod[]) => Set<string>): string[] {
  const own = selected(spec.podSelector as Selector);
  const asked = (spec.ingress as { ports?: { port: string | number }[] }[] | undefined ?? []).flatMap(({ ports }) => ports ?? []).map(({ port }) => port).filter((port) => typeof port === 'string');
  return [...(own.length === 0 && !/migrate|selftest/.test(where) ? [`selector: ${where}: selects no pod`] : []), ...asked.filter((port) => !portNames(own).has(port)).map((port) => `port: ${where}: no pod has a port ${port}`)];
}

function scalingFaults({ kind, metadata, spec }: Manifest, manifests: readonly Manifest[], code: RunningCode): string[] {
  const where = `${kind} ${metadata.name}`;
  const { kind: targetKind, name } = spec.scaleTargetRef as { kind: string; name: string };
  const faults = manifests.some((manifest) => manifest.kind === targetKind && manifest.metadata.name === name) ? [] : [`reference: ${where}: there is no ${targetKind} ${name}`];
  for (const { metadata: trigger } of (spec.triggers ?? []) as { metadata: { query: string } }[]) faults.push(...metricFaults(where, trigger.query, code));
  for (const { external } of (spec.metrics ?? []) as { external?: { metric: { name: string; selector: Selector } } }[]) {
    if (!external) continue;
    const matchers = (external.metric.selector.matchExpressions ?? []).map(({ key, values }) => `${key}=~"${values.join('|')}"`).join(',');
    faults.push(...metricFaults(where, `${external.metric.name}{${matchers}}`, code));
  }
  return faults;
}

function monitorFaults({ kind, metadata, spec }: Manifest, manifests: readonly Manifest[], code: RunningCode): string[] {
  const where = `${kind} ${metadata.name}`;
  const endpoints = (spec.endpoints ?? spec.podMetricsEndpoints) as { port: string; path: string; relabelings: { targetLabel: string; replacement: string }[] }[];
  const seen = manifests.filter((one) => selects(spec.selector as Selector, kind === 'ServiceMonitor' ? (one.kind === 'Service' ? one.metadata.labels : {}) : podOf(one)?.template.metadata.labels));
  const ports = new Set(seen.flatMap((one) => (kind === 'ServiceMonitor' ? (one.spec.ports as { name: string }[]) : (podOf(one)?.template.spec.containers ?? []).flatMap(({ ports: own }) => own ?? [])).map(({ name }) => name)));
  return [
    ...(seen.length === 0 ? [`selector: ${where}: selects nothing`] : []),
    ...endpoints.filter(({ port }) => !ports.has(port)).map(({ port }) => `port: ${where}: what it selects has no port ${port}`),
    ...endpoints.filter(({ path }) => !code.paths.has(path)).map(({ path }) => `path: ${where}: asks ${path}`),
    ...endpoints.flatMap(({ relabelings }) => relabelings).filter(({ targetLabel, replacement }) => targetLabel !== 'job' || !JOBS.has(replacement)).map(({ replacement }) => `label: ${where}: the job is called ${replacement}`),
  ];
}

/** Names of metrics in a query, and what stands in braces behind them. */
function metricFaults(where: string, expression: string, code: RunningCode): string[] {
  return [...expression.matchAll(/\b(healthvision_[a-z0-9_]+)\s*(\{[^}]*\})?/g)].flatMap(([, name = '', matchers = '']) => {
    const labels = code.metrics.get(name);
    if (labels === undefined) return [`metric: ${where}: there is no metric ${name}`];
    return [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)].flatMap(([, label = '', value = '']) => {
      if (!labels.includes(label) && !TARGET_LABELS.has(label)) return [`label: ${where}: ${name} has no label ${label}`];
      const values = { queue: code.queues, state: code.jobStates, job: JOBS }[label];
      return values === undefined ? [] : value.split('|').filter((one) => !values.has(one)).map((one) => `label: ${where}: ${label} is never ${one}`);
    });
  });
}

/** Nothing works off a queue that no worker takes. */
function queuesWithoutWorker(manifests: readonly Manifest[], code: RunningCode): string[] {
  const workers = podsOf(manifests).flatMap(containersOf).filter(({ env }) => env?.some(({ name, value }) => name === 'APP_ROLE' && value === 'worker'));
  if (workers.length === 0) return [];
  const taken = workers.flatMap(({ env }) => env?.find(({ name }) => name === 'WORKER_QUEUES')?.value?.split(',') ?? [...code.queues]);
  return [...code.queues].filter((queue) => !taken.includes(queue)).map((queue) => `queue: no worker takes ${queue}`);
}
