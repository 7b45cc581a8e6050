import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './product.js';

/** Metrics that the code registers, with their labels. A name that is put together at run time is a pattern. */
export interface RegisteredMetric {
  name: RegExp;
  kind: 'Counter' | 'Gauge' | 'Histogram';
  labels: readonly string[];
}

/** Of prom-client itself, as far as rules and dashboards name them. */
const OF_PROM_CLIENT = /^(process_cpu_seconds_total|nodejs_eventloop_lag_p99_seconds|nodejs_heap_size_used_bytes)$/;

const DEFINITION = /new (Counter|Gauge|Histogram)(?:<[^>]*>)?\(\{\s*name(?:: ('|`)(healthvision_[^'`]+)\2)?,/g;
const RECENTLY_SEEN = /new RecentlySeen\('(healthvision_\w+)'/g;
/** Where names are the keys of a table. */
const TABLE_OF_NAMES = /^ {2}(healthvision_\w+): \[/gm;
const FAR_ENOUGH = 700;

let found: readonly RegisteredMetric[] | undefined;

export function registeredMetrics(): readonly RegisteredMetric[] {
  return (found ??= sources().flatMap((text) => [
    ...[...text.matchAll(DEFINITION)].flatMap(({ 1: kind, 3: name, index }): RegisteredMetric[] => {
      const labels = labelsIn(definitionFrom(text, index));
      const names = name === undefined ? [...text.matchAll(TABLE_OF_NAMES)].map(([, one = '']) => one) : [name];
      return names.map((one) => ({ name: new RegExp(`^${one.replaceAll(/\$\{[^}]*\}/g, '\\w+_(rate|study)')}$`), kind: kind as RegisteredMetric['kind'], labels })); // the pattern knows no other
    }),
    ...[...text.matchAll(RECENTLY_SEEN)].map(([, name = '']): RegisteredMetric => ({ name: new RegExp(`^${name}$`), kind: 'Gauge', labels: [] })),
  ]));
}

/** Labels that samples of a name carry; undefined when nothing registers it. */
export function labelsOf(sample: string): readonly string[] | undefined {
  if (OF_PROM_CLIENT.test(sample) || sample === 'up') return [];
  if (sample === 'ALERTS') return ['alertname', 'alertstate', 'severity', 'category'];
  const [, histogram = '', part] = /^(.*)_(bucket|sum|count)$/.exec(sample) ?? [];
  const parts = registered(histogram, 'Histogram');
  if (parts) return part === 'bucket' ? [...parts, 'le'] : parts;
  return registered(sample);
}

function registered(name: string, kind?: RegisteredMetric['kind']): readonly string[] | undefined {
  return registeredMetrics().find((metric) => metric.name.test(name) && (kind === undefined || metric.kind === kind))?.labels;
}

/** Whether a word stands in the code as a text of its own, as values of labels do. */
export function isSaidInCode(word: string): boolean {
  return sources().some((text) => text.includes(`'${word}'`));
}

function labelsIn(definition: string): string[] {
  return [...(/labelNames: \[([^\]]*)\]/.exec(definition)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, label = '']) => label);
}

/** Up to the next one. */
function definitionFrom(text: string, index: number): string {
  const definition = text.slice(index, index + FAR_ENOUGH);
  const next = definition.slice(1).search(/new (Counter|Gauge|Histogram)/);
  return next < 0 ? definition : definition.slice(0, next + 1);
}

let read: readonly string[] | undefined;

function sources(): readonly string[] {
  const folder = join(ROOT, 'src');
  return (read ??= readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts') && !name.startsWith('generated')).map((name) => readFileSync(join(folder, name), 'utf8')));
}
