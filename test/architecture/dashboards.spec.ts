import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dashboards as written } from '../../helm/dashboards/write.mjs';
import { strangers } from '../support/monitored-names.js';
import { alerts, dashboards, filledIn, type Panel, type Query } from '../support/monitoring-files.js';

const UNITS = ['short', 's', 'd', 'bytes', 'Bps', 'percentunit', 'suffix:/s', 'suffix:/min', 'suffix:/h'];
const PANELS = ['stat', 'timeseries', 'bargauge', 'table'];
const named = dashboards().map(({ dashboard }): [string, typeof dashboard] => [dashboard.uid, dashboard]);
const shown = named.flatMap(([uid, { panels }]) => panels.filter(({ type }) => type !== 'row').map((panel): [string, Panel] => [`${uid}: ${panel.title}`, panel]));
const labelsSaid = ({ legendFormat }: Query): string[] => [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);

/** What alerts compare with which number: `healthvision:cpu:ratio5m > 0.85`. */
function limits(): { figure: string; limit: number }[] {
  return alerts().flatMap(({ expr }) => [...expr.matchAll(/\b(healthvision[\w:]+)(?:\{[^}]*\})?\)?\s*[<>]\s*([\d.]+)/g)].map(([, figure = '', limit]) => ({ figure, limit: Number(limit) }))).filter(({ limit }) => limit > 0);
}

describe('dashboards', () => {
  it('are those that their sources make', () => {
    for (const { file, text } of written()) expect(readFileSync(file, 'utf8'), `${file}: run npm run dashboards`).toBe(text);
    expect(named).toHaveLength(written().length);
  });

  it.each(named)('%s is one of ours', (uid, { title, description, schemaVersion, templating, panels }) => {
    expect(uid).toMatch(/^healthvision-[a-z]+$/);
    expect(title).toMatch(/^HealthVision: /);
    expect(description).not.toBe('');
    expect(schemaVersion).toBeGreaterThanOrEqual(41);
    expect(templating.list.map(({ name, type }) => [name, type])).toEqual([['datasource', 'datasource'], ['namespace', 'query']]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  it.each(named)('%s has no panel upon another, and none that is cut off', (_, { panels }) => {
    const taken = new Set<string>();
    for (const { title, gridPos: { x, y, w, h } } of panels) {
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let row = y; row < y + h; row++) for (let column = x; column < x + w; column++) {
        const cell = `${String(row)}/${String(column)}`;
        expect(taken.has(cell), title).toBe(false);
        taken.add(cell);
      }
    }
  });

  it.each(shown)('%s says what it is, in which unit, and asks the chosen Prometheus', (_, { type, description = '', datasource, targets = [], fieldConfig }) => {
    // Those of Angular are gone from Grafana.
    expect(PANELS).toContain(type);
    expect(description).toMatch(/^.{3,}\.$/s);
    expect(UNITS).toContain(fieldConfig?.defaults.unit);
    expect(targets.length).toBeGreaterThan(0);
    for (const source of [datasource, ...targets.map((target) => target.datasource)]) expect(source).toEqual({ type: 'prometheus', uid: '${datasource}' });
    for (const { expr } of targets) for (const filter of expr.match(/\{[^}]*\}/g) ?? []) expect(filter).toContain('namespace=~"$namespace"');
  });

  it.each(shown)('%s names only metrics that the code registers, with labels that it gives them', (_, { targets = [] }) => {
    expect(targets.flatMap((target) => strangers(filledIn(target.expr), labelsSaid(target)))).toEqual([]);
  });

  it('name only such metrics in what they choose from and mark', () => {
    for (const [, { templating, annotations }] of named) {
      const [, selector = ''] = /^label_values\((.*), \w+\)$/.exec(templating.list[1]?.definition ?? '') ?? [];
      expect([selector, ...annotations.list.map(({ expr }) => expr)].flatMap((expr) => strangers(filledIn(expr)))).toEqual([]);
    }
  });

  it.each(shown.filter(([, { description = '' }]) => /Alert (above|below|when p95)/.test(description)))('%s changes its colour where the alert begins', (_, { targets = [], fieldConfig }) => {
    const steps = fieldConfig?.defaults.thresholds.steps.map(({ value }) => value) ?? [];
    const own = limits().filter(({ figure }) => targets.some(({ expr }) => expr.includes(figure)));
    // Shares of what people agree with are told the other way round.
    for (const { figure, limit } of own) expect(steps.some((step) => step === limit || (figure.includes('healthvision_model_') && step === 1 - limit)), `${figure} ${String(limit)}: ${JSON.stringify(steps)}`).toBe(true);
    expect(fieldConfig?.defaults.thresholds.steps.length).toBeGreaterThan(1);
  });
});
