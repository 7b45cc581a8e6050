import { load } from 'js-yaml';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './product.js';

const FILES = join(ROOT, 'helm', 'healthvision', 'files');
export const RULES_FOLDER = join(FILES, 'prometheus');
export const DASHBOARDS_FOLDER = join(FILES, 'grafana');
export const ALERTMANAGER_FILE = join(FILES, 'alertmanager', 'alertmanager.yaml');
export const RULE_TESTS_FOLDER = join(ROOT, 'test', 'alerts');

export interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface RuleFile { groups: { name: string; rules: Rule[] }[] }

export interface Query { expr: string; legendFormat: string; instant: boolean }

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { type: string; uid: string };
  targets?: (Query & { datasource: { type: string; uid: string } })[];
  fieldConfig?: { defaults: { unit?: string; decimals?: number; min?: number; max?: number; noValue?: string; thresholds: { steps: { color: string; value: number | null }[] }; custom?: { stacking?: { mode: string }; thresholdsStyle?: { mode: string } } } };
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  schemaVersion: number;
  templating: { list: { type: string; name: string; query: unknown; definition?: string }[] };
  annotations: { list: { expr: string }[] };
  panels: Panel[];
}

export function ruleFiles(): { name: string; path: string; content: RuleFile }[] {
  // Their shape is promtool's to check.
  return readdirSync(RULES_FOLDER).filter((name) => name.endsWith('.rules.yaml')).map((name) => ({ name, path: join(RULES_FOLDER, name), content: load(readFileSync(join(RULES_FOLDER, name), 'utf8')) as RuleFile }));
}

let read: Rule[] | undefined;

export function rules(): readonly Rule[] {
  return (read ??= ruleFiles().flatMap(({ content }) => content.groups.flatMap((group) => group.rules)));
}

export type Alert = Rule & Required<Pick<Rule, 'alert' | 'labels' | 'annotations'>>;

export function alerts(): Alert[] {
  return rules().filter((rule): rule is Alert => rule.alert !== undefined);
}

export function dashboards(): { name: string; dashboard: Dashboard }[] {
  // Written by helm/dashboards.
  return readdirSync(DASHBOARDS_FOLDER).filter((name) => name.endsWith('.json')).map((name) => ({ name, dashboard: JSON.parse(readFileSync(join(DASHBOARDS_FOLDER, name), 'utf8')) as Dashboard }));
}

/** As Grafana fills in its variables for everything, at a time when what it shows is `range` long. */
export function filledIn(expr: string, { range = '1h', rate = '1m' } = {}): string {
  return expr.replaceAll('$namespace', '.*').replaceAll('$__range', range).replaceAll('$__rate_interval', rate);
}

/** True, or false with a loud line. */
export function isInstalled(tool: string, debianPackage: string): boolean {
  const there = spawnSync(tool, ['--version']).status === 0;
  if (!there) console.warn(`SKIPPED: ${tool} is not installed (Debian: apt-get install ${debianPackage})`);
  return there;
}
