import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { shippedPackages } from '../../../docker/shipped-packages.mjs';
import { ended, requestAnalysis, uploadXray } from '../../support/flow.js';
import { ROOT, startProduct, temporaryDirectory, type Product } from '../../support/product.js';
import { environmentOf, wordsOf } from './dockerfile.js';

/** `nobody`: PostgreSQL wants an account with a name. */
const UNPRIVILEGED = 65_534;
const folder = temporaryDirectory();
const app = join(folder, 'app');
const account = process.getuid?.() === 0 ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
/** What the image starts, without its init and in the place where the tree is here. */
const ENTRYPOINT = wordsOf('cpu', 'ENTRYPOINT').slice(wordsOf('cpu', 'ENTRYPOINT').indexOf('node') + 1).map((word) => word.replace(/^\/app\//, `${app}/`));

interface LockEntry { dev?: boolean; devOptional?: boolean; name?: string }
const lock = (JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> }).packages;

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'docker', 'stage.mjs'), app], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

describe('the files of the image', () => {
  it('are the product, its migrations, its models and packages, and nothing else', () => {
    expect(readdirSync(app).sort()).toEqual(['LICENSE', 'dist', 'docker', 'models', 'node_modules', 'package-lock.json', 'package.json', 'prisma', 'src']);
    expect(filesOf(join(app, 'src')).filter((file) => !file.startsWith('web/assets/'))).toEqual(['cli/build.mjs', 'cli/launch.mjs']);
    expect(filesOf(join(app, 'docker'))).toEqual(['healthcheck.mjs']);
    expect(readdirSync(join(app, 'prisma'))).toEqual(['migrations']);
  });

  it('have no test, bench, source or map of one', () => {
    const files = filesOf(app);
    expect(files.length).toBeGreaterThan(5_000);
    // core-js names its modules after what they stand in for.
    expect(files.filter((file) => /\.(spec|test)\.|\.map$|\.[cm]?tsx?$/.test(file) && !file.endsWith('/es.regexp.test.js'))).toEqual([]);
    expect(files.filter((file) => /^((src|dist\/src)\/)?(test|tests|bench)\//.test(file) || /^models\/[^/]+\/training\//.test(file) || /^node_modules\/(@[^/]+\/[^/]+|[^@/][^/]*)\/(tests?|specs?|bench|benchmarks?)\//.test(file))).toEqual([]);
  });

  it('have the packages that the product needs and none that only its development does', () => {
    const packages = packagesIn(app);
    expect(packages).toEqual(shippedPackages());
    expect(packages.filter((path) => lock[path]?.dev === true || lock[path]?.devOptional === true)).toEqual([]);
    expect(packages.filter((path) => /typescript|vitest|eslint|swc\/core|node_modules\/prisma$/.test(path))).toEqual([]);
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')) as { dependencies: object; devDependencies?: object };
    expect(Object.keys(dependencies).filter((name) => !packages.includes(`node_modules/${name}`))).toEqual([]);
    expect(devDependencies).toBeUndefined();
  });

  it('have the licence of every package that brings one', () => {
    const isLicence = (name: string): boolean => /^(licen[cs]e|copying|notice|third[-_]?party)/i.test(name);
    const missing = shippedPackages().flatMap((path) => readdirSync(join(ROOT, path), { withFileTypes: true }).filter((entry) => entry.isFile() && isLicence(entry.name)).map(({ name }) => join(path, name)));
    expect(missing.length).toBeGreaterThan(200);
    expect(missing.filter((file) => !existsSync(join(app, file)))).toEqual([]);
  });

  it('have every file that a package says it is entered by', () => {
    const missing = shippedPackages().flatMap((path) => entriesOf(path).map((entry) => join(path, entry)).filter((file) => existsSync(join(ROOT, file)) && statSync(join(ROOT, file)).isFile() && !existsSync(join(app, file))));
    expect(missing).toEqual([]);
  });

  it('have every file that another one imports', () => {
    const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
    const found = (root: string, path: string): boolean => ['', '.js', '.cjs', '.mjs', '.json', '.node', '/index.js', '/package.json'].some((ending) => isFile(join(root, path + ending)));
    const missing = filesOf(app).filter((file) => /\.[cm]?js$/.test(file) && !/@ohif\/app|@expo-google-fonts/.test(file)).flatMap((file) => {
      const imports = [...readFileSync(join(app, file), 'latin1').matchAll(/(?:\brequire\(|\bfrom\s*|\bimport\s*\(?)['"](\.\.?\/[^'"\n]+)['"]/g)].map(([, path = '']) => join(dirname(file), path));
      return imports.filter((path) => !path.endsWith('.d.ts') && !found(app, path) && found(ROOT, path)).map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });

  it('hold of native programs only those of this machine', () => {
    expect(filesOf(app).filter((file) => /\.(node|so|dll|dylib)(\.|$)/.test(file) && /win32|darwin|windows/.test(file))).toEqual([]);
  });
});

describe('the image at work', () => {
  let postgres: EmbeddedPostgres;
  let product: Product;
  let before: string[];
  const dataDir = join(folder, 'data');
  const secret = (name: string, value: string): string => {
    const file = join(folder, name);
    writeFileSync(file, `${value}\n`, { mode: 0o400 });
    if (account.uid !== undefined) chownSync(file, account.uid, account.uid);
    return file;
  };
  let env: Record<string, string>;

  beforeAll(async () => {
    before = stateOf(app);
    postgres = await openEmbeddedPostgres({ dataDir: temporaryDirectory(), log: () => undefined });
    mkdirSync(dataDir);
    if (account.uid !== undefined) chownSync(dataDir, account.uid, account.uid);
    env = {
      ...environmentOf('cpu'), HOME: dataDir, PORT: '0', METRICS_PORT: '0', DATA_DIR: dataDir, MODELS_DIR: join(app, 'models'), STORAGE_RESERVE_BYTES: '1MB',
      MASTER_KEY_FILE: secret('master-key', randomBytes(32).toString('base64')), DATABASE_URL_FILE: secret('database-url', postgres.url),
    };
    expect(env).toMatchObject({ NODE_ENV: 'production', MALLOC_ARENA_MAX: '2' });
  });
  afterAll(async () => {
    expect(await product.stop()).toBe(0);
    await postgres.close();
  });

  it('migrates, starts as an account that may write nothing but its data, and is healthy and ready', { timeout: 240_000 }, async () => {
    const migrated = run(['migrate', '--json'], env);
    expect(migrated.stderr).toBe('');
    expect((JSON.parse(migrated.stdout) as { applied: string[] }).applied.length).toBeGreaterThan(5);
    product = await startProduct({ dataDir, env, program: { argv: [...ENTRYPOINT, ...wordsOf('cpu', 'CMD')], cwd: app, ...account } });
    expect((await fetch(`${product.url}/health`)).status).toBe(200);
    expect(await (await fetch(`${product.url}/ready`)).json()).toMatchObject({ status: 'ok' });
    const check = spawnSync(process.execPath, [join(app, 'docker', 'healthcheck.mjs')], { encoding: 'utf8', env: { PORT: new URL(product.url).port }, ...account });
    expect(check).toMatchObject({ status: 0, stderr: '' });
  });

  it('serves its pages, the viewer and the board from what was put into it', async () => {
    for (const path of ['/login', '/assets/pages.css', '/docs']) expect((await fetch(`${product.url}${path}`)).status, path).toBe(200);
    expect((await product.fetch('/viewer/')).headers.get('content-type')).toContain('text/html');
    expect((await product.fetch('/viewer/app-config.js')).status).toBe(200);
  });

  it('analyses an X-ray, draws it and prints the report', async () => {
    const { id } = await requestAnalysis(product, await uploadXray(product, 1));
    const { status, resultId = '' } = await ended(product, id);
    expect(status).toBe('succeeded');
    expect((await product.fetch(`/api/v1/results/${resultId}/preview.png`)).headers.get('content-type')).toBe('image/png');
    const report = await product.fetch(`/api/v1/results/${resultId}/report.pdf`);
    expect(Buffer.from(await report.arrayBuffer()).subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('takes a backup and verifies it in a PostgreSQL of its own', { timeout: 240_000 }, () => {
    const backups = join(dataDir, 'backups');
    expect(run(['backup', '--to', backups, '--json'], env)).toMatchObject({ status: 0, stderr: '' });
    const verified = run(['backup', 'verify', '--from', backups, '--json'], { ...env, TMPDIR: dataDir });
    expect(JSON.parse(verified.stdout)).toMatchObject({ intact: true, faults: [] });
  });

  it('has the command line', () => {
    const { status, stdout } = run(['--help'], {});
    expect(status).toBe(0);
    for (const command of ['start', 'migrate', 'backup', 'keys', 'models']) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  });

  it('has written nothing into what the image holds', () => {
    expect(stateOf(app)).toEqual(before);
  });

  function run(args: readonly string[], variables: Record<string, string>): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(process.execPath, [...ENTRYPOINT, ...args], { cwd: app, encoding: 'utf8', env: { PATH: process.env.PATH, ...variables }, ...account });
  }
});

function filesOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory()).map((entry) => relative(root, join(entry.parentPath, entry.name))).sort();
}

/** Every file with its size and the time of its last change, and every folder. */
function stateOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { size, mtimeMs } = statSync(path);
    return `${relative(root, path)} ${entry.isDirectory() ? '' : `${String(size)} ${String(mtimeMs)}`}`;
  }).sort();
}

/** `node_modules/…` of every package below a folder. */
function packagesIn(root: string): string[] {
  return filesOf(join(root, 'node_modules')).map((file) => join('node_modules', file)).flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/package\.json$)/.exec(file) ?? []).sort();
}

/** `main` and the targets of `exports`, as far as they name files. */
function entriesOf(path: string): string[] {
  const { main, exports: exported } = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8')) as { main?: string; exports?: unknown };
  const leaves = (value: unknown, condition = ''): string[] => {
    if (typeof value === 'string') return condition.startsWith('types') || value.includes('*') ? [] : [value];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([name, inner]) => leaves(inner, name.startsWith('types') ? 'types' : condition));
  };
  return [...(main === undefined ? [] : [main]), ...leaves(exported)].filter((entry) => !/\.[cm]?ts$/.test(entry));
}
