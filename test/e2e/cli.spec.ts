import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/platform/config.js';
import { openDatabase } from '../../src/platform/database/open-database.js';
import { createLogger } from '../../src/platform/ops/logger.js';
import { ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { DATA, MODELS, sharedFile } from '../support/shared-data.js';

const folder = temporaryDirectory();
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

interface Answer {
  status: number | null;
  stdout: string;
  stderr: string;
}

function healthvision(args: readonly string[], env: Record<string, string> = {}): Answer {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist', 'src', 'cli', 'healthvision.js'), ...args], {
    cwd: folder, encoding: 'utf8', timeout: 240_000, maxBuffer: 64 * 2 ** 20, env: { PATH: process.env.PATH, HOME: process.env.HOME, MODELS_DIR: join(ROOT, 'models'), ...env },
  });
  return { status, stdout, stderr };
}

/** The command's `--json`, in a type that the test states. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the test knows what the command answers
function jsonOf<T>({ stdout }: Answer): T {
  return JSON.parse(stdout) as T;
}

interface DemoAnswer {
  studies: { file: string; status: string; reason: { code: string } | null; findings: { truth: string; verdict: string; probability: number; threshold: number; distanceMm?: number; dice?: number }[]; preview: string | null }[];
  refused: { file: string; code: string }[];
  secondsToFinding: number;
}

describe('healthvision demo --exit', () => {
  it('shows three analyses with truth beside finding, and leaves only its pictures behind', () => {
    const answer = healthvision(['demo', '--exit', '--json', '--port', '0']);
    expect(answer.stderr).toContain('data directory removed');
    expect(answer.status).toBe(0);
    const { studies } = jsonOf<DemoAnswer>(answer);
    expect(studies.map(({ file, status }) => [file, status])).toEqual(['phantom-healthy', 'phantom-pneumonia', 'phantom-chest-ct', 'phantom-brain-mr'].map((file) => [file, 'succeeded']));
    const [healthy, ill, chest, brain] = studies;
    expect([healthy, ill].map((study) => study?.findings.map(({ verdict }) => verdict))).toEqual([['negative'], ['positive']]);
    const nodules = chest?.findings.filter(({ truth }) => truth.startsWith('nodule')) ?? [];
    expect(nodules).toHaveLength(4);
    expect(nodules.filter(({ distanceMm = Infinity }) => distanceMm <= 2).length).toBeGreaterThanOrEqual(3);
    expect(brain?.findings.find(({ truth }) => truth.startsWith('whole tumour'))?.dice).toBeGreaterThanOrEqual(0.85);
    for (const { preview } of studies) expect(statSync(preview ?? '').size).toBeGreaterThan(20_000);
  });

  const adult = sharedFile(DATA, 'cxr', 'nih', 'images', '00000075_000.png');
  it.skipIf(adult === undefined)('says why an adult\'s X-ray is not analysed', () => {
    const answer = healthvision(['demo', '--exit', '--json', '--port', '0', '--input', adult ?? '', '--age', '50', '--view', 'PA', '--model', 'chest-xray-pneumonia@1.0.0']);
    expect(answer.status).toBe(0);
    expect(jsonOf<DemoAnswer>(answer).studies).toMatchObject([{ status: 'not-analysable', reason: { code: 'outside-model-domain' }, preview: null }]);
  });

  it('ends with 1 and a code when the input is not there, before anything is started', () => {
    const answer = healthvision(['demo', '--exit', '--input', '/nowhere/x.dcm']);
    expect(answer).toEqual({ status: 1, stdout: '', stderr: 'error: file-not-found: There is no file or folder /nowhere/x.dcm\n' });
  });
});

describe('healthvision ingest and analyze', () => {
  let product: Product;
  let access: string[];
  const input = join(folder, 'input');

  beforeAll(async () => {
    const [{ chestXray }, { phantomDicom }, { newDicomUid }] = await Promise.all([import('../../src/imaging/phantom/chest-xray.js'), import('../../src/imaging/phantom/phantom-dicom.js'), import('../../src/kernel/uid.js')]);
    mkdirSync(join(input, 'deep'), { recursive: true });
    const xray = chestXray({ seed: 1, size: 256 });
    writeFileSync(join(input, 'deep', 'xray.dcm'), phantomDicom(xray, { studyInstanceUid: newDicomUid(), seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid(), patientId: 'P', studyDate: '20260101', studyDescription: 'Phantom' }));
    product = await startProduct({ env: { SETTLE_SECONDS: '3600' } });
    access = ['--url', product.url, '--token', await product.token()];
  });
  afterAll(async () => { expect(await product.stop()).toBe(0); });

  it('uploads a folder, then runs an analysis on its study and shows the findings', () => {
    const uploaded = healthvision(['ingest', input, '--json', ...access]);
    expect(uploaded.status).toBe(0);
    const [fate] = jsonOf<{ items: { file: string; status: string; studyInstanceUid: string }[] }>(uploaded).items;
    expect(fate).toMatchObject({ file: 'deep/xray.dcm', status: 'stored' });

    const analysed = healthvision(['analyze', fate?.studyInstanceUid ?? '', ...access]);
    expect(analysed.status).toBe(0);
    expect(analysed.stdout).toMatch(/Pneumonia +0\.\d{4} +0\.\d{4} +(positive|negative) +chest-xray-pneumonia@/);
    expect(analysed.stderr).toContain('succeeded');
  });

  it('ends with 1 when a file is refused, and tells which', () => {
    writeFileSync(join(folder, 'letter.txt'), 'Dear colleague');
    const { status, stdout } = healthvision(['ingest', join(folder, 'letter.txt'), ...access]);
    expect(status).toBe(1);
    expect(stdout).toContain('not-dicom');
    expect(stdout).toContain('0 stored, 0 there before, 1 refused');
  });

  it('shows the problem of the API as one line', () => {
    expect(healthvision(['analyze', '1.2.3', ...access])).toEqual({ status: 1, stdout: '', stderr: expect.stringMatching(/^error: study-not-found: .+\n$/) as string });
    expect(healthvision(['ingest', input, '--url', product.url, '--api-key', 'hv_wrong']).stderr).toMatch(/^error: unauthenticated: .+\n$/);
    expect(healthvision(['ingest', input, '--url', 'http://127.0.0.1:9']).stderr).toMatch(/^error: unreachable: .+\n$/);
  });
});

describe('healthvision evaluate', () => {
  const set = sharedFile(DATA, 'cxr', 'pneumoniamnist.npz');
  it.skipIf(set === undefined)('gives the figures of the model card on the official test split, through the whole pipeline', () => {
    const report = join(folder, 'report');
    const answer = healthvision(['evaluate', 'chest-xray-classification', set ?? '', '--report', report, '--json']);
    expect(answer.status).toBe(0);
    const [label] = jsonOf<{ labels: { auc: { value: number }; sensitivity: { value: number }; specificity: { value: number } }[] }>(answer).labels;
    const manifest = JSON.parse(readFileSync(join(ROOT, 'models', 'chest-xray-pneumonia', 'manifest.json'), 'utf8')) as { validation: { metric: string; split: string; value: number }[] };
    const card = (metric: string): number => manifest.validation.find((row) => row.metric === metric && row.split === 'test')?.value ?? NaN;
    expect(label?.auc.value).toBeGreaterThanOrEqual(0.956);
    expect(label?.auc.value).toBeCloseTo(card('AUC'), 3);
    expect(label?.sensitivity.value).toBeCloseTo(card('sensitivity'), 3);
    expect(label?.specificity.value).toBeCloseTo(card('specificity'), 3);
    expect(readFileSync(join(report, 'predictions.csv'), 'utf8').split('\n')).toHaveLength(624 + 2);
    expect(statSync(join(report, 'roc.png')).size).toBeGreaterThan(5_000);
  });

  it('says what is wrong with a set', () => {
    const broken = join(folder, 'broken.npz');
    writeFileSync(broken, 'no archive');
    expect(healthvision(['evaluate', 'chest-xray-classification', broken]).stderr).toMatch(/^error: dataset-invalid: .+\n$/);
    expect(healthvision(['evaluate', 'chest-xray-classification', folder]).stderr).toMatch(/^error: dataset-invalid: .*labels\.csv.*\n$/);
  });
});

describe('healthvision models', () => {
  const pack = join(ROOT, 'models', 'chest-xray-pneumonia');

  it('installs a pack once, and lists it', () => {
    const models = { MODELS_DIR: join(folder, 'models') };
    expect(jsonOf(healthvision(['models', 'install', pack, '--json'], models))).toMatchObject({ name: 'chest-xray-pneumonia', installed: true });
    expect(jsonOf(healthvision(['models', 'install', pack, '--json'], models))).toMatchObject({ name: 'chest-xray-pneumonia', installed: false });
    expect(jsonOf(healthvision(['models', 'list', '--json'], models))).toMatchObject({ items: [{ name: 'chest-xray-pneumonia', state: 'complete' }] });
  });

  it('refuses weights that are not those of the manifest', () => {
    const changed = join(folder, 'changed');
    mkdirSync(changed);
    copyFileSync(join(pack, 'manifest.json'), join(changed, 'manifest.json'));
    writeFileSync(join(changed, 'model.onnx'), 'other weights');
    const models = { MODELS_DIR: join(folder, 'refused') };
    const { status, stderr } = healthvision(['models', 'install', changed], models);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: manifest-invalid: model\.onnx has the sha256 .+\n$/);
    expect(existsSync(models.MODELS_DIR)).toBe(false);
  });

  const weights = sharedFile(MODELS, 'cxr-eval');
  it.skipIf(weights === undefined)('merges a manifest with weights from elsewhere', () => {
    const models = { MODELS_DIR: join(folder, 'merged') };
    const nih = join(ROOT, 'test', 'model-packs', 'nih15');
    expect(healthvision(['models', 'install', nih], models).stderr).toContain('--weights');
    expect(jsonOf(healthvision(['models', 'install', nih, '--weights', weights ?? '', '--json'], models))).toMatchObject({ name: 'nih15', installed: true });
  });
});

describe('healthvision', () => {
  it('answers what it does not know with one line, a hint and status 1', () => {
    expect(healthvision(['strat'])).toEqual({ status: 1, stdout: '', stderr: 'error: usage: unknown command \'strat\' (Did you mean start?) – see healthvision --help\n' });
    expect(healthvision(['models', 'list', '--jsno'])).toMatchObject({ status: 1, stderr: 'error: usage: unknown option \'--jsno\' (Did you mean --json?) – see healthvision models list --help\n' });
    expect(healthvision(['ingest'])).toMatchObject({ status: 1, stdout: '' });
  });

  it('has help for every command', () => {
    for (const command of [['start'], ['demo'], ['migrate'], ['admin', 'create'], ['models', 'list'], ['models', 'install'], ['ingest'], ['analyze'], ['evaluate'], ['selftest'], ['openapi']]) {
      const { status, stdout } = healthvision([...command, '--help']);
      expect(status).toBe(0);
      expect(stdout).toContain(`Usage: healthvision ${command.join(' ')}`);
      expect(stdout).toContain('--json');
    }
  });

  it('names each invalid setting in a line of its own', () => {
    expect(healthvision(['migrate'], { PORT: 'x', WORKER_CONCURRENCY: '0' }).stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^error: configuration-invalid: PORT: /), expect.stringMatching(/^error: configuration-invalid: WORKER_CONCURRENCY: /),
    ]);
  });

  it('migrates, and makes administrators', () => {
    const env = { DATA_DIR: join(folder, 'data') };
    expect(jsonOf<{ applied: string[] }>(healthvision(['migrate', '--json'], env)).applied.length).toBeGreaterThan(0);
    expect(jsonOf<{ applied: string[] }>(healthvision(['migrate', '--json'], env)).applied).toEqual([]);
    expect(jsonOf(healthvision(['admin', 'create', '--email', 'ada@hospital.test', '--json'], env))).toMatchObject({ email: 'ada@hospital.test', password: expect.stringMatching(/.{12,}/) as string });
    expect(healthvision(['admin', 'create', '--email', 'ada@hospital.test'], env)).toMatchObject({ status: 1, stderr: expect.stringMatching(/^error: conflict: /) as string });
  });

  it('puts on record that administrators were made and keys exchanged', async () => {
    const env = { DATA_DIR: join(folder, 'data') };
    healthvision(['migrate'], env);
    const { id } = jsonOf<{ id: string }>(healthvision(['admin', 'create', '--email', 'grace@hospital.test', '--json'], env));
    expect(healthvision(['admin', 'create', '--email', 'grace@hospital.test'], env).status).toBe(1);
    expect(healthvision(['keys', 'rotate', '--json'], env).status).toBe(0);
    const { kid } = jsonOf<{ kid: string }>(healthvision(['keys', 'rotate-signing', '--json'], env));
    expect(jsonOf<{ intact: boolean }>(healthvision(['audit', 'verify', '--json'], env))).toMatchObject({ intact: true });
    const opened = await openDatabase(parseConfig(env), createLogger('silent'));
    try {
      const client = new pg.Client(opened.url);
      await client.connect();
      const { rows } = await client.query<{ line: string }>(`SELECT concat_ws(' ', action, outcome, code, object) AS line FROM audit_events WHERE institution_id = '00000000-0000-0000-0000-000000000000' AND actor_kind = 'system' ORDER BY sequence`);
      await client.end();
      expect(rows.map(({ line }) => line).slice(-8)).toEqual([
        'createAdministrator attempted', `createAdministrator succeeded ${id}`, 'createAdministrator attempted', 'createAdministrator failed conflict',
        'rotateKeys attempted', 'rotateKeys succeeded', 'rotateSigningKey attempted', `rotateSigningKey succeeded ${kid}`,
      ]);
    } finally {
      await opened.close();
    }
  }, 120_000);

  it('writes the OpenAPI document without a database', () => {
    const file = join(folder, 'openapi.json');
    expect(healthvision(['openapi', '--out', file]).status).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ openapi: '3.1.0' });
  });
});
