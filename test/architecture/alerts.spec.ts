import { load } from 'js-yaml';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { strangers } from '../support/monitored-names.js';
import { alerts, ALERTMANAGER_FILE, isInstalled, RULE_TESTS_FOLDER, ruleFiles, rules, type Rule } from '../support/monitoring-files.js';
import { ROOT } from '../support/product.js';

const SEVERITIES = ['P1', 'P2', 'P3', 'P4'];
const RUNBOOKS = 'docs/operations/runbooks.md';

const promtool = isInstalled('promtool', 'prometheus');
const amtool = isInstalled('amtool', 'prometheus-alertmanager');

function run(command: string, ...parameters: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, parameters, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

const labelsSaid = (annotations: Record<string, string> = {}): string[] => Object.values(annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label));

describe('rules', () => {
  it.each(rules().map((rule): [string, Rule] => [rule.alert ?? rule.record ?? '', rule]))('%s names only metrics that the code registers, with labels that it gives them', (_, rule) => {
    expect(strangers(rule.expr, labelsSaid(rule.annotations))).toEqual([]);
  });

  it('that name something else are found', () => {
    expect(strangers('sum by (queue) (healthvision_queue_job{state="waiting"}) > 0')).toEqual(['nothing registers healthvision_queue_job', expect.stringContaining('queue')]);
    expect(strangers('healthvision_queue_jobs{stat="waiting"}')).toEqual(['healthvision_queue_jobs has no label stat']);
    expect(strangers('healthvision_queue_jobs{state="wating"}')).toEqual(['nothing gives healthvision_queue_jobs the state "wating"']);
    expect(strangers('sum by (gpu) (healthvision_queue_jobs)')).toHaveLength(1);
    expect(strangers('healthvision:queue_backlog:max > 100', ['outcome'])).toHaveLength(1);
    expect(strangers('healthvision:queue_backlog:max{queue="run"} > 100', ['queue'])).toEqual([]);
  });

  it.runIf(promtool)('are rules to Prometheus', () => {
    expect(run('promtool', 'check', 'rules', ...ruleFiles().map(({ path }) => path))).toMatchObject({ status: 0 });
  });

  it.runIf(promtool)('do what their tests say', () => {
    expect(run('promtool', 'test', 'rules', ...readdirSync(RULE_TESTS_FOLDER).map((name) => join(RULE_TESTS_FOLDER, name)))).toMatchObject({ status: 0 });
  }, 120_000);
});

interface RuleTests { tests: { name: string; promql_expr_test: { exp_samples?: { labels: string }[] }[] }[] }

describe('alerts', () => {
  const named = alerts().map((alert): [string, typeof alert] => [alert.alert, alert]);
  const tests = readdirSync(RULE_TESTS_FOLDER).flatMap((name) => (load(readFileSync(join(RULE_TESTS_FOLDER, name), 'utf8')) as RuleTests).tests);
  const anchors = [...readFileSync(join(ROOT, RUNBOOKS), 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase());

  it('have names of their own', () => {
    expect(new Set(named.map(([name]) => name)).size).toBe(named.length);
  });

  it.each(named)('%s says what it is, how bad, and what to do', (name, { labels, annotations }) => {
    expect(name).toMatch(/^HealthVision[A-Z]/);
    expect(SEVERITIES).toContain(labels.severity);
    expect(labels.category).toMatch(/^[a-z]+$/);
    expect(annotations.summary).toMatch(/^[A-Z]/);
    expect(annotations.summary_zh).toMatch(/\p{Script=Han}/u);
    expect(annotations.description?.length).toBeGreaterThan(40);
    expect(annotations.runbook_url).toBe(`https://healthvision.example/${RUNBOOKS}#${name.toLowerCase()}`);
    expect(anchors, `${RUNBOOKS} has no heading ${name}`).toContain(name.toLowerCase());
  });

  it.each(named)('%s has a test that it fires, and one that it does not', (name) => {
    const firing = tests.filter((test) => test.name.startsWith(`${name}: `)).flatMap(({ promql_expr_test: looks }) => looks.map(({ exp_samples: samples = [] }) => samples.some(({ labels }) => labels.includes(`alertname="${name}"`))));
    expect(firing).toContain(true);
    // What always fires is not to be tested for the opposite.
    if (name !== 'HealthVisionWatchdog') expect(firing).toContain(false);
  });

  it('have runbooks, and no runbook is about an alert that is gone', () => {
    const about = anchors.filter((anchor) => anchor.startsWith('healthvision') && !anchor.includes(' '));
    expect(about.sort()).toEqual(named.map(([name]) => name.toLowerCase()).sort());
  });

  it('stand in the table of docs/operations/alerts.md, with their severity', () => {
    const rows = [...readFileSync(join(ROOT, 'docs/operations/alerts.md'), 'utf8').matchAll(/^\| \[(HealthVision\w+)\]\(runbooks\.md#(\w+)\) \| (P\d) \|/gm)].map(([, name = '', anchor, severity]) => [name, anchor, severity]);
    expect(rows.sort()).toEqual(named.map(([name, { labels }]) => [name, name.toLowerCase(), labels.severity]).sort());
  });
});

describe.each([RUNBOOKS, 'docs/operations/alerts.md'])('%s', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const codes = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

  it('names calls that the API has', () => {
    // As the document of the API has them.
    const { paths } = JSON.parse(readFileSync(join(ROOT, 'docs/api/openapi.json'), 'utf8')) as { paths: Record<string, Record<string, unknown>> };
    const known = Object.keys(paths).map((path) => path.replaceAll(/\{\w+\}/g, '*'));
    const called = [...text.matchAll(/\/api\/v1\/[a-z0-9/<>-]+/g)].map(([path]) => path.replaceAll(/<\w+>/g, '*').replace(/\/$/, ''));
    expect(called.filter((path) => !known.includes(path))).toEqual([]);
  });

  it('names metrics that there are', () => {
    const queries = codes.filter((code) => /\bhealthvision[_:]\w/.test(code));
    expect(queries.flatMap((query) => strangers(query.replaceAll('"<name>"', '"run"')))).toEqual([]);
  });

  it('names commands that there are', () => {
    const sources = readdirSync(join(ROOT, 'src/cli/commands')).map((name) => readFileSync(join(ROOT, 'src/cli/commands', name), 'utf8')).join('\n');
    const known = [...sources.matchAll(/(?:new Command|\.command)\('([a-z]+)/g)].map(([, name = '']) => name);
    const words = codes.flatMap((code) => (/^healthvision ([a-z]+(?: [a-z]+)*)/.exec(code)?.[1] ?? '').split(' ').filter((word) => word !== ''));
    expect(words.filter((word) => !known.includes(word))).toEqual([]);
  });
});

interface Receiver { name: string; webhook_configs?: { url: string; http_config?: { authorization?: { credentials_file?: string } } }[]; email_configs?: unknown[] }
interface Alertmanager { route: object; receivers: Receiver[]; inhibit_rules: { source_matchers: string[]; target_matchers: string[] }[] }

describe('Alertmanager', () => {
  const text = readFileSync(ALERTMANAGER_FILE, 'utf8');
  const config = load(text) as Alertmanager;
  const receiver = (name: string): Receiver | undefined => config.receivers.find((one) => one.name === name);
  const routed = (...labels: string[]): string[] => (run('amtool', 'config', 'routes', 'test', `--config.file=${ALERTMANAGER_FILE}`, ...labels).output.split('\n').find((line) => line !== '' && !line.startsWith('Warning')) ?? '').split(',');

  it.runIf(amtool)('takes the configuration', () => {
    expect(run('amtool', 'check-config', ALERTMANAGER_FILE)).toMatchObject({ status: 0 });
  });

  it.runIf(amtool).each(SEVERITIES)('has a way of its own for %s', (severity) => {
    expect(routed(`severity=${severity}`, 'category=work')).toEqual([severity.toLowerCase()]);
    expect(receiver(severity.toLowerCase())).toBeDefined();
  });

  it.runIf(amtool)('tells whoever answers for security beside those on duty, and the watchdog only who waits for it', () => {
    expect(routed('severity=P1', 'category=security')).toEqual(['security', 'p1']);
    expect(routed('alertname=HealthVisionWatchdog', 'severity=P4', 'category=watchdog')).toEqual(['watchdog']);
    expect(routed('severity=unheard of')).toEqual(['p2']);
  });

  it('calls, opens an incident and writes for what is worst', () => {
    expect(receiver('p1')?.webhook_configs?.map(({ url }) => new URL(url).hostname.split('.')[0])).toEqual(['phone', 'incidents']);
    for (const name of ['p1', 'p2', 'p3', 'p4', 'security']) expect(receiver(name)?.email_configs, name).toHaveLength(1);
    expect(receiver('p2')?.webhook_configs).toHaveLength(1);
  });

  it('has its secrets in files', () => {
    for (const { webhook_configs: hooks = [] } of config.receivers) for (const { http_config: http } of hooks) expect(http?.authorization?.credentials_file).toMatch(/^\/etc\/alertmanager\/secrets\//);
    expect(text).toContain('smtp_auth_password_file: ');
    expect(text).not.toMatch(/(password|credentials|token|secret): /i);
  });

  it('hides consequences of alerts that exist', () => {
    const named = config.inhibit_rules.flatMap(({ source_matchers: source, target_matchers: target }) => [...source, ...target]).flatMap((matcher) => [.../^alertname = (\w+)$/.exec(matcher)?.slice(1) ?? /^alertname =~ "HealthVision\((.*)\)"$/.exec(matcher)?.[1]?.split('|').map((name) => `HealthVision${name}`) ?? []]);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !alerts().some(({ alert }) => alert === name))).toEqual([]);
  });
});
