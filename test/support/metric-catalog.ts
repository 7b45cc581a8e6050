import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './product.js';

/** Metrics that the code registers, with their labels. */
export interface RegisteredMetric {
  name: string;
  kind: 'Counter' | 'Gauge' | 'Histogram';
  labels: readonly string[];
}

/** Of prom-client itself, as far as rules and dashboards name them. */
const OF_PROM_CLIENT = /^(process_cpu_seconds_total|nodejs_eventloop_lag_p99_seconds|nodejs_heap_size_used_bytes)$/;

const DEFINITION = /new (Counter|Gauge|Histogram)(?:<[^>]*>)?\(\{\s*name(?:: '(healthvision_\w+)')?,/g;
const RECENTLY_SEEN = /new RecentlySeen\('(healthvision_\w+)'/g;
const FAR_ENOUGH = 700;

let found: readonly RegisteredMetric[] | undefined;

export function registeredMetrics(): readonly RegisteredMetric[] {
  return (found ??= sources().flatMap((text) => {
    const definitions = [...text.matchAll(DEFINITION)];
    // Where one definition makes several, their names are the others of its file.
    const given = new Set(definitions.flatMap(({ 2: name }) => name ?? []));
    const others = [...new Set([...text.matchAll(/\bhealthvision_\w+/g)].map(([name]) => name))].filter((name) => !given.has(name));
    return [
      ...definitions.flatMap(({ 1: kind, 2: name, index }) => (name === undefined ? others : [name]).map((one): RegisteredMetric => ({ name: one, kind: kind as RegisteredMetric['kind'], labels: labelsIn(definitionFrom(text, index)) }))), // the pattern knows no other
      ...[...text.matchAll(RECENTLY_SEEN)].map(([, name = '']): RegisteredMetric => ({ name, kind: 'Gauge', labels: [] })),
    ];
  }));
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
  return registeredMetrics().find((metric) => metric.name === name && (kind === undefined || metric.kind === kind))?.labels;
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
