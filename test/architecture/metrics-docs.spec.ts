import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';

/** Names of labels by the metric. */
type Metrics = Map<string, string[]>;

const SOURCES = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.startsWith('generated'))
  .map((file) => ({ file, text: readFileSync(join(ROOT, 'src', file), 'utf8') }))
  .filter(({ text }) => text.includes("from 'prom-client'"));
/** The name is given there, or where the constructor's surroundings are called; `registers` comes last. */
const MADE = /new (?:Counter|Gauge|Histogram|Summary)\(\{\s*name(?:: '(?<name>\w+)')?,(?<rest>.*?)registers:/gs;

function labelsOf(text: string): string[] {
  const [, labels = ''] = /labelNames: \[([^\]]*)\]/.exec(text) ?? [];
  return [...labels.matchAll(/'(\w+)'/g)].map(([, label = '']) => label).sort();
}

/** What the code registers: every metric's name stands there in full. */
function registered(): Metrics {
  const metrics: Metrics = new Map();
  for (const { text } of SOURCES) {
    const made = [...text.matchAll(MADE)].map(({ groups }) => ({ name: groups?.name, labels: labelsOf(groups?.rest ?? '') }));
    for (const { name, labels } of made) if (name !== undefined) metrics.set(name, labels);
    const elsewhere = made.find(({ name }) => name === undefined)?.labels ?? [];
    for (const [name] of text.matchAll(/\bhealthvision_[a-z_]*[a-z]\b/g)) if (!metrics.has(name)) metrics.set(name, elsewhere);
  }
  return metrics;
}

function documented(): Metrics {
  const rows = [...readFileSync(join(ROOT, 'docs/operations/metrics.md'), 'utf8').matchAll(/^\| `(healthvision_\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)];
  const names = rows.map(([, name = '']) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index), 'rows that are there twice').toEqual([]);
  return new Map(rows.map(([, name = '', labels = '']) => [name, [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort()]));
}

describe('the table of metrics', () => {
  it('has every metric of the code with its labels, and no other', () => {
    const code = registered();
    expect(code.size).toBeGreaterThan(60);
    expect(Object.fromEntries([...documented()].sort())).toEqual(Object.fromEntries([...code].sort()));
  });

  it('is compared with all that there are: each is made in a way that this test reads', () => {
    for (const { file, text } of SOURCES) expect([...text.matchAll(MADE)].length, file).toBe([...text.matchAll(/new (?:Counter|Gauge|Histogram|Summary)\b/g)].length);
  });
});
