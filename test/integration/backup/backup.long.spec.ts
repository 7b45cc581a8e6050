import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { BackupFolder } from '../../../src/platform/backup/backup-folder.js';
import { manifestMac, newBackupId } from '../../../src/platform/backup/backup-manifest.js';
import { applyMigrations, packagedMigrations, readMigrations } from '../../../src/platform/database/migrations.js';
import { createS3Client } from '../../../src/platform/storage/s3-client.js';
import { S3ObjectStore } from '../../../src/platform/storage/s3-object-store.js';
import { eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../../support/product.js';
import { testInstance, upload, type TestInstance } from '../images/instances.js';
import { settingsFor, startS3rver } from '../../support/s3.js';
import { PretendedDisk, putObject, readObject } from '../storage/object-store.contract.js';
import { furnish, nameBlob, openBackupHouse, type BackupHouse, type Installation } from './backup-house.js';

let house: BackupHouse;
let source: Installation;
const BLOBS = Array.from({ length: 12 }, (_, i) => ({ key: `inst/study${String(i % 3)}/blob-${String(i)}`, bytes: randomBytes(20_000 + i) }));

beforeAll(async () => {
  house = await openBackupHouse();
  source = await house.newInstallation();
  await furnish(source);
  for (const { key, bytes } of BLOBS) await putObject(source.store, key, bytes);
});
afterAll(async () => { await house.close(); });

const CLI = join(ROOT, 'dist', 'src', 'cli', 'healthvision.js');

function healthvision(args: readonly string[], env: Record<string, string>): { status: number | null; json: Record<string, unknown>; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args, '--json'], { encoding: 'utf8', timeout: 240_000, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  // What the command answers is an object, or nothing.
  return { status, json: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>), stderr };
}

async function bytesOf(product: Product, { studyInstanceUid, seriesInstanceUid, sopInstanceUid }: TestInstance): Promise<Buffer> {
  const response = await product.fetch(`/dicom-web/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`, { headers: { accept: 'multipart/related; type="application/dicom"' } });
  return Buffer.from(await response.arrayBuffer());
}

describe('healthvision backup and restore', () => {
  it('bring an installation back elsewhere that was backed up while images came in, with every image that was acknowledged before', async () => {
    const backups = temporaryDirectory();
    const masterKey = randomBytes(32).toString('base64');
    let product = await startProduct({ env: { MASTER_KEY: masterKey } });
    const env = { DATA_DIR: product.dataDir, MASTER_KEY: masterKey };
    const acknowledged: TestInstance[] = [];
    const load = { isOn: true };
    const loading = (async () => {
      while (load.isOn) {
        const one = testInstance({ fill: acknowledged.length % 250, size: 64 });
        if ((await upload(product, [`${String(acknowledged.length)}.dcm`, one.bytes])).status === 201) acknowledged.push(one);
      }
    })();
    await eventually('the first images', () => Promise.resolve(acknowledged.length >= 10));

    // One is killed while it works, and counts for nothing.
    const killed = spawn(process.execPath, [CLI, 'backup', '--to', backups], { env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' });
    await eventually('half a backup', () => Promise.resolve(existsSync(backups) && readdirSync(backups).some((name) => name.startsWith('.half-'))));
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(await new BackupFolder(backups).list()).toEqual([]);

    const first = await inBackground(['backup', '--to', backups], env);
    expect(first).toMatchObject({ blobs: { missing: 0 } });
    await eventually('the backup in the metrics', async () => /^healthvision_backup_age_seconds \d/m.test(await (await product.fetch('/metrics')).text()) || undefined, 40_000);
    const safe = acknowledged.length;
    const second = await inBackground(['backup', '--to', backups], env);
    load.isOn = false;
    await loading;
    expect(acknowledged.length).toBeGreaterThan(safe);
    const blobs = second.blobs as { count: number; copied: number };
    expect(blobs.count).toBeGreaterThanOrEqual(safe);
    expect(blobs.copied).toBeLessThan(blobs.count);

    product.process.kill('SIGKILL');
    await once(product.process, 'exit');
    const verified = healthvision(['backup', 'verify', '--from', backups], { DATA_DIR: join(backups, 'nowhere'), MASTER_KEY: masterKey });
    expect(verified).toMatchObject({ status: 0, json: { intact: true, authentic: true, faults: [] } });
    rmSync(product.dataDir, { recursive: true, force: true });

    const dataDir = temporaryDirectory();
    expect(healthvision(['restore', '--from', backups], { DATA_DIR: dataDir })).toMatchObject({ status: 1, stderr: expect.stringMatching(/^error: backup-key-missing: /) as string });
    const restored = healthvision(['restore', '--from', backups], { DATA_DIR: dataDir, MASTER_KEY: masterKey });
    expect(restored).toMatchObject({ status: 0, json: { id: second.id, missingBlobs: 0, audit: { broken: 0 } } });
    product = await startProduct({ dataDir, env: { MASTER_KEY: masterKey }, keepData: false });
    for (const one of acknowledged.slice(0, safe)) expect((await bytesOf(product, one)).includes(Buffer.from(one.bytes))).toBe(true);
    // It works on: what comes now is stored and sealed behind what was restored.
    expect((await upload(product, ['new.dcm', testInstance().bytes])).status).toBe(201);
    const audit = healthvision(['audit', 'verify'], { DATA_DIR: dataDir, MASTER_KEY: masterKey });
    expect(audit).toMatchObject({ status: 0, json: { intact: true } });
    expect(healthvision(['restore', '--from', backups], { DATA_DIR: dataDir, MASTER_KEY: masterKey }).stderr).toMatch(/^error: restore-target-not-empty: /);
    await product.stop();
    rmSync(backups, { recursive: true, force: true });
  });

  it('refuse what makes no sense in one line', () => {
    const nowhere = { DATA_DIR: join(temporaryDirectory(), 'nowhere') };
    const lines = (args: string[], env: Record<string, string> = nowhere): string => healthvision(args, env).stderr;
    expect(lines(['backup', '--to', nowhere.DATA_DIR])).toMatch(/^error: nothing-to-back-up: /);
    expect(lines(['restore', '--from', '/nowhere'])).toMatch(/^error: backup-not-found: /);
    expect(existsSync(nowhere.DATA_DIR)).toBe(false);
  });
});

/** Beside this process, which goes on uploading. */
async function inBackground(args: readonly string[], env: Record<string, string>): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [CLI, ...args, '--json'], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  const [code] = (await once(child, 'close')) as [number]; // the event's first argument
  expect(code).toBe(0);
  return JSON.parse(text) as Record<string, unknown>; // --json answers with an object
}

describe('a backup', () => {
  it('tells which blobs were missing already', async () => {
    const [own, backups] = [await house.newInstallation(), house.newFolder()];
    await nameBlob(own, 'models/gone');
    expect((await house.backup(own, backups)).manifest.blobs.missing).toBe(1);
    expect(await house.verify(backups)).toMatchObject({ intact: true, missingBlobs: 1 });
  });

  it('keeps keys for two days, so that what was erased since stays unreadable in those before', async () => {
    const [own, backups] = [await house.newInstallation(), house.newFolder()];
    const [kept, destroyed] = [uuidv7(), uuidv7()];
    for (const id of [kept, destroyed]) {
      await own.rows('INSERT INTO study_keys (id, institution_id, study_instance_uid, wrapping_key_id, wrapped) VALUES ($1, $2, $3, $4, $5)', [id, uuidv7(), id, uuidv7(), randomBytes(60)]);
    }
    await furnish(own, 2);
    const { manifest } = await house.backup(own, backups);
    // Three days ago, and so written by who has the key.
    const old = { ...manifest, id: newBackupId(new Date(Date.now() - 3 * 24 * 3_600_000)) };
    renameSync(join(backups.path, manifest.id), join(backups.path, old.id));
    writeFileSync(backups.pathOf(old.id, 'manifest.json'), JSON.stringify(old));
    writeFileSync(backups.pathOf(old.id, 'manifest.mac'), manifestMac(JSON.stringify(old), house.masterKey));
    await own.rows('DELETE FROM study_keys WHERE id = $1', [destroyed]);
    const newest = (await house.backup(own, backups)).manifest.id;
    expect(readdirSync(join(backups.path, old.id)).sort()).toEqual(['blobs.jsonl.gz', 'database.tar.gz.age', 'manifest.json', 'manifest.mac']);
    expect(await house.verify(backups, { backup: await backups.find(old.id) })).toMatchObject({ intact: true, keysFrom: newest });
    const target = await house.newInstallation();
    await house.restore(target, backups, { backup: await backups.find(old.id) });
    expect(await target.rows('SELECT id FROM study_keys')).toEqual([{ id: kept }]);
    expect(await target.rows('SELECT 1 FROM users')).toHaveLength(2);
  });

  it('of an older version is migrated after it was filled', async () => {
    const [old, backups] = [await house.newInstallation('no tables'), house.newFolder()];
    const names = (await readMigrations(packagedMigrations())).map(({ name }) => name);
    await applyMigrations(old.url, { only: new Set(names.slice(0, -3)) });
    await old.rows(`INSERT INTO institutions (id, name) VALUES (gen_random_uuid(), 'old')`);
    await house.backup(old, backups);
    const target = await house.newInstallation('no tables');
    await house.restore(target, backups);
    const opened = await target.open();
    await opened.close();
    expect(opened.migrations.applied).toEqual(names.slice(-3));
    expect(await target.rows('SELECT name FROM institutions')).toEqual([{ name: 'old' }]);
    const newer = await house.newInstallation();
    await expect(house.restore(newer, backups)).rejects.toMatchObject({ code: 'restore-target-not-empty' });
  });

  it('goes from S3 to S3', async () => {
    const server = await startS3rver();
    const stores = ['one', 'two'].map((name) => {
      const drafts = temporaryDirectory();
      return new S3ObjectStore(createS3Client(settingsFor(server.endpoint)), `backup-${name}`, drafts, new PretendedDisk().guard(drafts));
    });
    const [from, to] = stores;
    if (!from || !to) throw new Error('no stores');
    try {
      for (const store of stores) await store.prepare();
      for (const { key, bytes } of BLOBS.slice(1, 5)) await putObject(from, key, bytes);
      const backups = house.newFolder();
      expect((await house.backup(source, backups, { store: from })).manifest.blobs).toMatchObject({ count: 4, copied: 4 });
      expect((await house.backup(source, backups, { store: from })).manifest.blobs).toMatchObject({ count: 4, copied: 0 });
      await house.restore(await house.newInstallation(), backups, { store: to });
      for (const { key, bytes } of BLOBS.slice(1, 5)) expect((await readObject(to, key)).equals(bytes)).toBe(true);
    } finally {
      for (const store of stores) store.onApplicationShutdown();
      await server.stop();
    }
  });
});

describe('taking a backup', () => {
  it('refuses a second one at the same time, into the same folder or another', async () => {
    const backups = house.newFolder();
    let second: Promise<unknown> | undefined;
    let third: Promise<unknown> | undefined;
    await house.backup(source, backups, {
      report: () => {
        second ??= house.backup(source, backups).catch((error: unknown) => error);
        third ??= house.backup(source, house.newFolder()).catch((error: unknown) => error);
      },
      store: slow(source),
    });
    expect([await second, await third]).toMatchObject([{ code: 'backup-running' }, { code: 'backup-running' }]);
    expect(await backups.ids()).toHaveLength(1);
  });

  it('leaves nothing that could be taken for a backup when it fails or is killed, and uses what it had copied', async () => {
    const backups = house.newFolder();
    const failing = Object.create(source.store) as Installation['store'];
    let opened = 0;
    failing.open = (key) => (++opened > 6 ? Promise.reject(new Error('EIO')) : source.store.open(key));
    await expect(house.backup(source, backups, { store: failing })).rejects.toThrow();
    expect(await backups.list()).toEqual([]);
    expect(readdirSync(backups.path).filter((name) => name.startsWith('.half-'))).toEqual([]);
    // As a process leaves it that is killed.
    mkdirSync(join(backups.path, '.half-20260101T000000000Z-abcdef'));
    writeFileSync(join(backups.path, '.half-20260101T000000000Z-abcdef', 'manifest.json'), '{}');
    writeFileSync(join(backups.path, 'objects', '.half-1'), 'x');
    expect(await backups.list()).toEqual([]);
    await house.backup(source, backups);
    expect(readdirSync(backups.path).some((name) => name.startsWith('.half-'))).toBe(false);
    expect(existsSync(join(backups.path, 'objects', '.half-1'))).toBe(false);
    expect((await house.verify(backups)).intact).toBe(true);
    // One whose manifest is broken is listed as that.
    const [id = ''] = await backups.ids();
    truncateSync(backups.pathOf(id, 'manifest.json'), 20);
    expect(await backups.list()).toMatchObject([{ id, fault: { code: 'backup-corrupt' } }]);
  });

  it('keeps ten versions of the settings, and only versions', async () => {
    const backups = house.newFolder();
    for (let i = 0; i < 12; i++) for (const _again of [1, 2]) await backups.locked(() => backups.keepSettings(`20260101T0000${String(i).padStart(2, '0')}000Z-abcdef`, `{"PORT":${String(i)}}`));
    const kept = readdirSync(join(backups.path, 'settings')).sort();
    expect(kept).toHaveLength(10);
    expect(readFileSync(join(backups.path, 'settings', kept.at(-1) ?? ''), 'utf8')).toBe('{"PORT":11}');
  });

  it('says that it is the folder of the backups that has no room or cannot be used', async () => {
    const backups = house.newFolder();
    appendFileSync(backups.path, 'a file');
    await expect(house.backup(source, backups)).rejects.toMatchObject({ code: 'storage-unavailable', message: expect.stringContaining('folder of the backups') as string });
  });
});

/** A store that takes its time. */
function slow({ store }: Installation): Installation['store'] {
  const one = Object.create(store) as Installation['store'];
  one.open = async (key) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return store.open(key);
  };
  return one;
}
