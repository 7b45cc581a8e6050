import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_VARIABLES, parseConfig, type Config } from '../../../src/platform/config.js';
import { QUEUES } from '../../../src/roles/queues.js';
import { redisIsInstalled, startRedis } from '../../support/redis.js';
import { ROOT, temporaryDirectory } from '../../support/product.js';
import { DOCKER, isThere, mountsOf, readCompose, readYaml, settingsOfCompose, type Service } from './compose.js';
import { environmentOf, instructionsOf, wordsOf } from './dockerfile.js';
import { composeFaults } from './compose-schema.js';

const compose = readCompose();
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build !== undefined);
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
/** Of OpenTelemetry and of Node.js, not of ours. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
const OF_OTHERS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_SERVICE_NAME', 'OTEL_TRACES_SAMPLER_ARG', 'TMPDIR'];
const SECRETS = ['app', 'postgres', 'redis', 'minio', 'grafana'];

const folder = temporaryDirectory();
/** What the first start puts into the volumes, here. */
const volumes = Object.fromEntries(SECRETS.map((name) => [`${name}-secrets`, join(folder, 'secrets', name)]));

beforeAll(() => {
  for (const path of Object.values(volumes)) mkdirSync(path, { recursive: true });
  makeSecrets();
});
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

function makeSecrets(): void {
  const { status, stderr } = spawnSync('sh', [join(DOCKER, 'init', 'secrets.sh'), join(folder, 'secrets')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function service(name: string): Service {
  const found = compose.services[name];
  if (!found) throw new Error(`there is no service ${name}`);
  return found;
}

function secret(volume: string, name: string): string {
  return readFileSync(join(volumes[volume] ?? '', name), 'utf8').trimEnd();
}

/** The configuration that the product makes of what a service is given. */
function configOf({ environment = {}, build }: Service): Config {
  const here = Object.entries(environment).map(([name, value]) => [name, name.endsWith('_FILE') ? value.replace('/run/secrets/healthvision', volumes['app-secrets'] ?? '') : value]);
  return parseConfig({ ...environmentOf(build?.target ?? ''), ...Object.fromEntries(here) as Record<string, string> }); // pairs of texts
}

describe('compose.yaml', () => {
  it('is what the Compose specification allows', (context) => {
    const faults = composeFaults(readYaml(join(DOCKER, 'compose.yaml')));
    if (faults === undefined) context.skip();
    expect(faults).toEqual([]);
  });

  it('gives the product variables that it reads, with values that it takes', () => {
    expect(ours.map(([name]) => name)).toEqual(['init', 'migrate', 'api', 'worker', 'gpu-worker', 'backup']);
    for (const [name, { environment = {} }] of ours) {
      expect(Object.keys(environment).filter((variable) => !CONFIG_VARIABLES.includes(variable) && !OF_OTHERS.includes(variable)), name).toEqual([]);
      expect(Object.values(environment).filter((value) => typeof value !== 'string'), name).toEqual([]);
    }
    for (const name of ['migrate', 'api', 'worker', 'gpu-worker', 'backup']) expect(configOf(service(name)), name).toMatchObject({ isProduction: true, QUEUE_BACKEND: 'redis', BLOB_STORE: 's3' });
    expect(configOf(service('api')).APP_ROLE).toBe('api');
    expect(configOf(service('worker')).APP_ROLE).toBe('worker');
    expect(configOf(service('worker')).WORKER_QUEUES, 'all').toBeUndefined();
    const { APP_ROLE, WORKER_QUEUES = [], EXECUTION_PROVIDERS } = configOf(service('gpu-worker'));
    expect({ APP_ROLE, EXECUTION_PROVIDERS }).toEqual({ APP_ROLE: 'worker', EXECUTION_PROVIDERS: ['cuda'] });
    expect(WORKER_QUEUES.filter((queue) => !QUEUES.includes(queue))).toEqual([]);
  });

  it('tells the product the servers by name, port and password', () => {
    const config = configOf(service('api'));
    const database = new URL(config.DATABASE_URL ?? '');
    const { POSTGRES_USER, POSTGRES_DB } = service('postgres').environment ?? {};
    expect({ host: database.host, user: database.username, name: database.pathname, password: database.password }).toEqual({ host: 'postgres:5432', user: POSTGRES_USER, name: `/${POSTGRES_DB ?? ''}`, password: secret('postgres-secrets', 'password') });
    const redis = new URL(config.REDIS_URL ?? '');
    expect({ host: redis.host, password: redis.password }).toEqual({ host: 'redis:6379', password: secret('redis-secrets', 'password') });
    expect(new URL(config.S3_ENDPOINT ?? '').host).toBe('minio:9000');
    expect([config.S3_ACCESS_KEY_ID, config.S3_SECRET_ACCESS_KEY]).toEqual([secret('minio-secrets', 'user'), secret('minio-secrets', 'password')]);
    for (const name of ['postgres', 'redis', 'minio']) expect(service('api').networks?.some((network) => service(name).networks?.includes(network)), name).toBe(true);
  });

  it('publishes the ports that the product listens at', () => {
    const { PORT, METRICS_PORT, DIMSE_PORT, dataDir } = configOf(service('api'));
    expect(service('api').ports?.map((port) => Number(port.split(':').at(-1)))).toEqual([PORT, DIMSE_PORT]);
    const exposed = instructionsOf('cpu').find(({ name }) => name === 'EXPOSE')?.value.split(' ').map(Number);
    expect(exposed).toEqual([PORT, METRICS_PORT, DIMSE_PORT]);
    for (const [name, found] of ours.filter(([name]) => name !== 'init')) expect(mountsOf(found).map(({ target }) => target), name).toContain(dataDir);
    expect(instructionsOf('cpu')).toContainEqual({ name: 'VOLUME', value: dataDir });
  });

  it('starts commands that there are, of programs that are mounted where they are said to be', () => {
    const commands = new Map(ours.filter(([name]) => name !== 'init').map(([, { command = wordsOf('cpu', 'CMD') }]) => [command[0] ?? '', command]));
    expect([...commands.keys()]).toEqual(['migrate', 'start', 'backup']);
    const help = (...words: string[]): string => spawnSync(process.execPath, [join(ROOT, 'src/cli/launch.mjs'), ...words, '--help'], { encoding: 'utf8' }).stdout;
    const known = help();
    for (const [command, words] of commands) {
      expect(known).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
      const options = words.filter((word) => word.startsWith('--'));
      for (const option of options) expect(help(command)).toContain(`${option} <`);
    }
    expect(mountsOf(service('backup')).map(({ target }) => target)).toContain(service('backup').command?.[2]);
    const files = services.flatMap(([name, { entrypoint = [], command = [], environment = {}, healthcheck }]) => [
      ...entrypoint.filter((word) => word.startsWith('/init/')), ...command.flatMap((word) => /(?:^|-?-config(?:\.file)?=)(\/etc\/\S+)$/.exec(word)?.[1] ?? []),
      ...Object.entries(environment).filter(([variable]) => variable.endsWith('_FILE')).map(([, file]) => file), ...(healthcheck?.test ?? []).flatMap((word) => /\/run\/secrets\/[\w/-]+/.exec(word)?.[0] ?? []),
    ].map((file) => ({ name, file })));
    expect(files.length).toBeGreaterThan(30);
    expect(files.filter(({ name, file }) => !isThere(service(name), file, volumes))).toEqual([]);
  });

  it('mounts what there is, and uses every volume and network that it makes', () => {
    const mounts = services.flatMap(([, found]) => mountsOf(found));
    const outside = [join('/var/lib/docker', 'containers')];
    expect(mounts.filter(({ isVolume, source }) => !isVolume && !outside.includes(source) && !existsSync(source))).toEqual([]);
    expect([...new Set(mounts.filter(({ isVolume }) => isVolume).map(({ source }) => source))].sort()).toEqual(Object.keys(compose.volumes).sort());
    expect([...new Set(services.flatMap(([, { networks = [] }]) => networks))].sort()).toEqual(Object.keys(compose.networks).sort());
  });

  it('waits for services that can say they are ready', () => {
    for (const [name, { depends_on = {}, profiles = [] }] of services) for (const [other, { condition }] of Object.entries(depends_on)) {
      const { healthcheck, restart, profiles: itsProfiles = [], build } = service(other);
      expect({ name, other, alwaysThere: itsProfiles.every((profile) => profiles.includes(profile)) }).toMatchObject({ alwaysThere: true });
      if (condition === 'service_healthy') expect(healthcheck?.test ?? (build && 'of the image'), `${name} waits for ${other}`).toBeDefined();
      else expect({ condition, restart }, `${name} waits for ${other}`).toEqual({ condition: 'service_completed_successfully', restart: expect.stringMatching(/^(no|on-failure:3)$/) as string });
    }
    expect(Object.keys(service('api').depends_on ?? {})).toContain('migrate');
  });

  it('gives no container more than it needs', () => {
    for (const [name, found] of services) {
      expect(found, name).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      expect(found.image, name).toMatch(/^[^:]+:(?!latest)[\w.-]*\d[\w.-]*$/);
      // One-shot containers end.
      if (!['init', 'migrate', 'backup'].includes(name)) expect(found.deploy?.resources.limits.memory, name).toMatch(/^\d+[mg]$/);
    }
    expect(services.filter(([, { user, cap_add }]) => user === '0:0' || cap_add !== undefined).map(([name]) => name)).toEqual(['init', 'fluent-bit']);
  });

  it('lets nobody in from outside but on this machine, and to the database not even there', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    for (const name of ['postgres', 'redis', 'minio', 'loki']) {
      expect(service(name).ports, name).toBeUndefined();
      expect(service(name).networks?.every((network) => compose.networks[network]?.internal === true), name).toBe(true);
    }
  });

  it('builds and names images of this version', () => {
    for (const [name, { image, build }] of ours) {
      expect(image, name).toBe(`healthvision:${version}${build?.target === 'gpu' ? '-gpu' : ''}`);
      expect(existsSync(join(DOCKER, build?.context ?? '', build?.dockerfile ?? '')), name).toBe(true);
      expect(instructionsOf(build?.target ?? '')).toContainEqual({ name: 'ARG', value: `VERSION=${version}` });
    }
  });

  it('has a page that names every setting, every image, and the queues of a worker beside a GPU', () => {
    const page = readFileSync(join(ROOT, 'docs/operations/containers.md'), 'utf8');
    expect(settingsOfCompose().filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    const images = [...services.map(([, { image }]) => image.replace('docker.io/', '')), ...[...readFileSync(join(DOCKER, 'Dockerfile'), 'utf8').matchAll(/^ARG \w+_IMAGE=(.*)$/gm)].map(([, image = '']) => image)];
    expect(images.filter((image) => !page.includes(`\`${image}\``))).toEqual([]);
    expect(/^WORKER_QUEUES=(.*)$/m.exec(page)?.[1]?.split(',')).toEqual(QUEUES.filter((queue) => queue !== 'run'));
  });
});

describe('the secrets of the first start', () => {
  it('are strong, differ, and stay when it starts again', () => {
    const all = (): string[] => Object.entries({ 'app-secrets': ['master-key', 'bootstrap-admin-password'], 'postgres-secrets': ['password'], 'redis-secrets': ['password'], 'minio-secrets': ['password'], 'grafana-secrets': ['admin-password'] }).flatMap(([volume, names]) => names.map((name) => secret(volume, name)));
    const before = all();
    expect(new Set(before).size).toBe(6);
    expect(before.filter((value) => Buffer.from(value, 'base64url').length < 32)).toEqual([]);
    makeSecrets();
    expect(all()).toEqual(before);
  });

  it('are closed to everybody but the account that each is for', () => {
    const accounts = Object.fromEntries([...readFileSync(join(DOCKER, 'init', 'secrets.sh'), 'utf8').matchAll(/^(\w+)=(\d+:\d+)$/gm)].map(([, name = '', account = '']) => [name, account]));
    expect(accounts).toEqual({ app: service('api').user, postgres: service('postgres').user, redis: service('redis').user, minio: service('minio').user, grafana: '472:0' });
    const targets = mountsOf(service('init')).map(({ source, target }) => [source, target]);
    for (const name of SECRETS) expect(targets).toContainEqual([`${name}-secrets`, `/secrets/${name}`]);
    const given = [...readFileSync(join(DOCKER, 'init', 'secrets.sh'), 'utf8').matchAll(/own "\$\w+" "\$data\/(\w+)"/g)].map(([, folder = '']) => `/data/${folder}`);
    expect(given.length).toBeGreaterThan(4);
    expect(given).toEqual(targets.map(([, target = '']) => target).filter((target) => target.startsWith('/data/')));
    const { mode, uid } = statSync(join(volumes['app-secrets'] ?? '', 'master-key'));
    expect(mode & 0o777).toBe(0o600);
    if (process.getuid?.() === 0) expect(`${String(uid)}:${String(uid)}`).toBe(accounts.app);
  });

  it.skipIf(!redisIsInstalled())('and the settings make a Redis that loses no job', async () => {
    const settings = readFileSync(join(DOCKER, 'redis', 'redis.conf'), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(' '));
    expect(settings).toContainEqual(['include', '/run/secrets/redis/password.conf']);
    expect(secret('redis-secrets', 'password.conf')).toBe(`requirepass ${secret('redis-secrets', 'password')}`);
    const redis = await startRedis(undefined, settings.filter(([name]) => name !== 'include' && name !== 'dir').flatMap(([name = '', ...values]) => [`--${name}`, ...values]));
    const { stdout } = spawnSync('redis-cli', ['-u', redis.url, 'CONFIG', 'GET', 'maxmemory*'], { encoding: 'utf8' });
    await redis.stop();
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['noeviction', String(768 * 2 ** 20)]));
  });
});
