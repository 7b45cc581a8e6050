import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asked } from '../ops/prometheus-answers.mjs';
import { eventually, temporaryDirectory } from './product.js';
import { freePort } from './redis.js';

export interface Target { job: 'healthvision-api' | 'healthvision-worker'; address: string }

export interface FiringAlert { labels: Record<string, string>; annotations: Record<string, string> }

/** Debian's Prometheus, of the test's own. */
export interface PrometheusServer {
  url: string;
  /** Whom it scrapes from now on, every second. */
  watch(targets: readonly Target[]): void;
  /** Values of an instant query by the value of one of their labels. */
  values(expr: string, label: string): Promise<Map<string, number>>;
  /** What fires now. */
  firing(): Promise<FiringAlert[]>;
  stop(): Promise<void>;
}

/** @param rules  files of rules by their name: what they say is evaluated every second */
export async function startPrometheus(rules: ReadonlyMap<string, string>): Promise<PrometheusServer> {
  const folder = temporaryDirectory();
  const targets = join(folder, 'targets.json');
  const watch = (list: readonly Target[]): void => {
    // In one step, or half a file is read.
    writeFileSync(`${targets}.new`, JSON.stringify(list.map(({ job, address }) => ({ targets: [address], labels: { job } }))));
    renameSync(`${targets}.new`, targets);
  };
  watch([]);
  mkdirSync(join(folder, 'rules'));
  for (const [name, text] of rules) writeFileSync(join(folder, 'rules', name), text);
  writeFileSync(join(folder, 'prometheus.json'), JSON.stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(folder, 'rules', '*.yaml')],
    scrape_configs: [{ job_name: 'healthvision', file_sd_configs: [{ files: [targets], refresh_interval: '1s' }] }],
  }));
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const child = spawn('prometheus', [`--config.file=${join(folder, 'prometheus.json')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${String(port)}`, '--log.level=warn'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (part: Buffer) => { complaints += part.toString(); });
  await eventually('Prometheus to be ready', async () => {
    if (child.exitCode !== null) throw new Error(complaints);
    return (await fetch(`${url}/-/ready`)).ok;
  });
  return {
    url, watch,
    values: async (expr, label) => {
      // The shape of a vector, as Prometheus documents it.
      const { result } = (await asked(url, 'query', { query: expr })) as { result: { metric: Record<string, string>; value: [number, string] }[] };
      return new Map(result.map(({ metric, value: [, text] }) => [metric[label] ?? '', Number(text)]));
    },
    firing: async () => {
      const { data } = (await (await fetch(`${url}/api/v1/alerts`)).json()) as { data: { alerts: (FiringAlert & { state: string })[] } };
      return data.alerts.filter(({ state }) => state === 'firing');
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
    },
  };
}
