import { containersOf, type Container, type Pod, type Probe, type SecurityContext } from './chart.js';

const VOLUMES = new Set(['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret']);
const SELINUX = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);
const SYSCTLS = new Set([
  'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes',
]);

/**
 * Where a pod offends against the profile "restricted" and what it takes over of "baseline", in the order of the standard; each in a line.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function offences(pod: Pod): string[] {
  const { spec } = pod.template;
  const found: string[] = [];
  const tell = (rule: string, where: string): void => { found.push(`${pod.owner}: ${rule}: ${where}`); };
  for (const [where, context] of contexts(pod)) {
    if (context.windowsOptions?.hostProcess === true) tell('HostProcess', where);
    if (context.seLinuxOptions && (!SELINUX.has(context.seLinuxOptions.type ?? '') || context.seLinuxOptions.user !== undefined || context.seLinuxOptions.role !== undefined)) tell('SELinux', where);
    if (context.appArmorProfile && !['RuntimeDefault', 'Localhost'].includes(context.appArmorProfile.type)) tell('AppArmor', where);
    if (context.runAsUser === 0) tell('Running as non-root user', where);
    if (context.seccompProfile && !['RuntimeDefault', 'Localhost'].includes(context.seccompProfile.type)) tell('Seccomp', where);
  }
  if (spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true) tell('Host Namespaces', 'pod');
  for (const { name } of spec.securityContext?.sysctls ?? []) if (!SYSCTLS.has(name)) tell('Sysctls', name);
  for (const { name, ...source } of spec.volumes ?? []) for (const type of Object.keys(source)) if (!VOLUMES.has(type)) tell('Volume Types', `${name} is ${type}`);
  for (const container of containersOf(pod)) for (const rule of containerOffences(container, spec.securityContext)) tell(rule, container.name);
  return found;
}

function containerOffences(container: Container, pod: SecurityContext = {}): string[] {
  const own = container.securityContext ?? {};
  const rules: string[] = [];
  if (own.privileged === true) rules.push('Privileged Containers');
  if ((own.capabilities?.add ?? []).some((capability) => capability !== 'NET_BIND_SERVICE')) rules.push('Capabilities');
  if (own.capabilities?.drop?.includes('ALL') !== true) rules.push('Capabilities');
  if ((container.ports ?? []).some(({ hostPort }) => hostPort !== undefined && hostPort !== 0)) rules.push('Host Ports');
  if (probesOf(container).some((probe) => probe.httpGet?.host !== undefined || probe.tcpSocket?.host !== undefined)) rules.push('Host Probes / Lifecycle Hooks');
  if (own.procMount !== undefined && own.procMount !== 'Default') rules.push('/proc Mount Type');
  if (own.allowPrivilegeEscalation !== false) rules.push('Privilege Escalation');
  if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true) rules.push('Running as Non-root');
  if ((own.seccompProfile ?? pod.seccompProfile) === undefined) rules.push('Seccomp');
  return rules;
}

/** What we want beyond the standard. */
export function laxities(pod: Pod): string[] {
  const { spec } = pod.template;
  const containers = containersOf(pod);
  return [
    ...(spec.automountServiceAccountToken === false ? [] : ['mounts a token of its ServiceAccount']),
    ...(spec.enableServiceLinks === false ? [] : ['is told of every Service by variables']),
    ...containers.filter(({ securityContext }) => securityContext?.readOnlyRootFilesystem !== true).map(({ name }) => `${name} may write to its root`),
    ...containers.filter(({ resources }) => resources?.requests?.memory === undefined || resources.limits?.memory === undefined || resources.requests.cpu === undefined).map(({ name }) => `${name} does not say what it needs`),
  ].map((laxity) => `${pod.owner}: ${laxity}`);
}

function contexts(pod: Pod): [where: string, context: SecurityContext][] {
  return [['pod', pod.template.spec.securityContext ?? {}], ...containersOf(pod).map(({ name, securityContext }): [string, SecurityContext] => [name, securityContext ?? {}])];
}

function probesOf({ startupProbe, livenessProbe, readinessProbe, lifecycle }: Container): Probe[] {
  return [startupProbe, livenessProbe, readinessProbe, lifecycle?.preStop, lifecycle?.postStart].filter((probe) => probe !== undefined);
}
