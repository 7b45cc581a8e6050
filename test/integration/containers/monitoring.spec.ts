import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { environmentOf } from './dockerfile.js';
import { temporaryDirectory } from '../../support/product.js';
import { DOCKER, mountedAt, readCompose, readYaml } from './compose.js';

const compose = readCompose();
const folder = temporaryDirectory();
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

interface Scrape { job_name: string; static_configs?: { targets: string[] }[]; dns_sd_configs?: { names: string[]; type: string; port: number }[] }
interface PrometheusFile { rule_files: string[]; alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] }; scrape_configs: Scrape[] }
interface Datasource { name: string; uid: string; type: string; url: string; isDefault?: boolean; jsonData?: { derivedFields?: { datasourceUid: string }[]; tracesToLogsV2?: { datasourceUid: string; query: string } } }
interface FluentBit { parsers: { name: string }[]; pipeline: { inputs: { path: string; parser: string; db: string }[]; filters: { name: string; rename?: string[]; regex?: string }[]; outputs: { name: string; host: string; port: number; labels: string }[] } }

// Their shapes are what their programs document; what is asserted here is what names our services.
const prometheus = readYaml(join(DOCKER, 'prometheus', 'prometheus.yaml')) as PrometheusFile;
const { datasources } = readYaml(join(DOCKER, 'grafana/provisioning/datasources/datasources.yaml')) as { datasources: Datasource[] };
const fluentBit = readYaml(join(DOCKER, 'fluent-bit', 'fluent-bit.yaml')) as FluentBit;
/** Ports that the servers listen at: of their own by default, or by the files here. */
const PORTS: Readonly<Record<string, number[]>> = { prometheus: [9090], alertmanager: [9093], loki: [portOfLoki()], jaeger: portsOfJaeger() };

describe('Prometheus', () => {
  it('asks the services of Compose at the port where the product serves its metrics', () => {
    const scraped = Object.fromEntries(prometheus.scrape_configs.map(({ job_name, dns_sd_configs = [] }) => [job_name, dns_sd_configs]));
    const port = Number(environmentOf('cpu').METRICS_PORT);
    expect(scraped['healthvision-api']).toEqual([{ names: ['api'], type: 'A', port }]);
    expect(scraped['healthvision-worker']).toEqual([{ names: ['worker', 'gpu-worker'], type: 'A', port }]);
    for (const name of Object.values(scraped).flat().flatMap(({ names }) => names)) {
      const { environment = {}, networks = [] } = compose.services[name] ?? {};
      expect({ port: environment.METRICS_PORT, shared: networks.filter((network) => compose.services.prometheus?.networks?.includes(network)) }, name).toEqual({ port: String(port), shared: ['edge', 'monitoring'] });
    }
  });

  it('reads the rules of the chart and tells the Alertmanager beside it', () => {
    const [pattern = ''] = prometheus.rule_files;
    const rules = mountedAt(service('prometheus'), pattern);
    expect(readdirSync(rules?.source ?? '').filter((name) => name.endsWith('.rules.yaml')).length).toBeGreaterThan(0);
    expect(rules?.inside).toBe('*.rules.yaml');
    expect(prometheus.alerting.alertmanagers.flatMap(({ static_configs }) => static_configs).flatMap(({ targets }) => targets).filter((target) => !isAnswered(`http://${target}`))).toEqual([]);
  });

  it.skipIf(!isInstalled('promtool', 'the configuration of Prometheus'))('starts with this file and the rules', () => {
    cpSync(mountedAt(service('prometheus'), prometheus.rule_files[0] ?? '')?.source ?? '', join(folder, 'rules'), { recursive: true });
    const file = join(folder, 'prometheus.yaml');
    writeFileSync(file, readFileSync(join(DOCKER, 'prometheus', 'prometheus.yaml'), 'utf8').replace('/etc/prometheus/rules', join(folder, 'rules')));
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', file], { encoding: 'utf8' });
    expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' });
  });
});

describe('Grafana', () => {
  it('asks servers that there are, and finds the dashboards of the chart', () => {
    expect(datasources.map(({ type }) => type)).toEqual(['prometheus', 'alertmanager', 'loki', 'jaeger']);
    expect(datasources.filter(({ url }) => !isAnswered(url))).toEqual([]);
    expect(datasources.filter(({ isDefault }) => isDefault).map(({ uid }) => uid)).toEqual(['prometheus']);
    const linked = datasources.flatMap(({ jsonData }) => [...(jsonData?.derivedFields ?? []), ...(jsonData?.tracesToLogsV2 ? [jsonData.tracesToLogsV2] : [])]).map(({ datasourceUid }) => datasourceUid);
    expect(linked.filter((uid) => !datasources.some((source) => source.uid === uid))).toEqual([]);
    const { providers: [provider] } = readYaml(join(DOCKER, 'grafana/provisioning/dashboards/dashboards.yaml')) as { providers: { options: { path: string } }[] };
    const dashboards = mountedAt(service('grafana'), provider?.options.path ?? '');
    expect(readdirSync(dashboards?.source ?? '').filter((name) => name.endsWith('.json')).length).toBeGreaterThan(0);
    expect(mountedAt(service('grafana'), '/etc/grafana/provisioning')?.source).toBe(join(DOCKER, 'grafana/provisioning'));
  });
});

describe('the logs', () => {
  it('go from the files of Docker to Loki, told apart by what Docker writes beside each line', () => {
    const { inputs, outputs } = fluentBit.pipeline;
    expect(fluentBit.parsers.map(({ name }) => name)).toEqual(inputs.map(({ parser }) => parser));
    expect(inputs.flatMap(({ path, db }) => [path, db]).map((path) => mountedAt(service('fluent-bit'), path)?.source)).toEqual(['/var/lib/docker/containers', 'fluent-bit']);
    const renamed = fluentBit.pipeline.filters.flatMap(({ rename = [] }) => rename).map((pair) => pair.split(' '));
    for (const [name, { logging }] of Object.entries(compose.services)) expect(logging?.options.labels?.split(','), name).toEqual(renamed.map(([label]) => label));
    expect(fluentBit.pipeline.filters.find(({ regex }) => regex !== undefined)?.regex).toBe(`project ^${compose.name}$`);
    expect(outputs.map(({ host, port }) => isAnswered(`http://${host}:${String(port)}`))).toEqual([true]);
    // Links from a trace to its lines ask for this label.
    expect(outputs[0]?.labels).toContain(`job=${/job="(\w+)"/.exec(datasources.find(({ uid }) => uid === 'jaeger')?.jsonData?.tracesToLogsV2?.query ?? '')?.[1] ?? 'none'}`);
  });
});

describe('Alertmanager', () => {
  it.skipIf(!isInstalled('amtool', 'the configuration of Alertmanager'))('starts with the file that it is given', () => {
    const command = compose.services.alertmanager?.command?.find((word) => word.startsWith('--config.file='))?.slice('--config.file='.length) ?? '';
    const mount = mountedAt(service('alertmanager'), command);
    const { status, stdout, stderr } = spawnSync('amtool', ['check-config', join(mount?.source ?? '', mount?.inside ?? '')], { encoding: 'utf8' });
    expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' });
  });
});

function service(name: string): NonNullable<(typeof compose.services)[string]> {
  const found = compose.services[name];
  if (!found) throw new Error(`there is no service ${name}`);
  return found;
}

/** Whether a service of that name, in the profile of monitoring, listens there. */
function isAnswered(url: string): boolean {
  const { hostname, port } = new URL(url);
  return compose.services[hostname]?.profiles?.includes('monitoring') === true && PORTS[hostname]?.includes(Number(port)) === true;
}

function isInstalled(program: string, what: string): boolean {
  const there = existsSync(`/usr/bin/${program}`) || spawnSync(program, ['--version']).status === 0;
  if (!there) console.warn(`SKIPPED: ${program} is not installed; ${what} is not checked`);
  return there;
}

function portOfLoki(): number {
  return (readYaml(join(DOCKER, 'loki', 'loki.yaml')) as { server: { http_listen_port: number } }).server.http_listen_port;
}

function portsOfJaeger(): number[] {
  return [...readFileSync(join(DOCKER, 'jaeger', 'jaeger.yaml'), 'utf8').matchAll(/endpoint: 0\.0\.0\.0:(\d+)/g)].map(([, port]) => Number(port));
}
