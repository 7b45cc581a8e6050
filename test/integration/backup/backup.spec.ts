import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TombstonesStore } from '../../../src/modules/images/tombstones.store.js';
import { BLOBS_PART, DATABASE_PART, KEYS_PART, type BackupFolder } from '../../../src/platform/backup/backup-folder.js';
import { manifestMac } from '../../../src/platform/backup/backup-manifest.js';
import { writeBlobList } from '../../../src/platform/backup/blob-list.js';
import { connectAsOwner } from '../../../src/platform/backup/tables.js';
import { parseConfig } from '../../../src/platform/config.js';
import { MasterKey } from '../../../src/platform/crypto/master-key.js';
import { Database } from '../../../src/platform/database/database.js';
import { DELETION_HOLD } from '../../../src/platform/storage/deletion-hold.js';
import { temporaryDirectory } from '../../support/product.js';
import { keysOf, putObject, readObject } from '../storage/object-store.contract.js';
import { furnish, nameBlob, openBackupHouse, type BackupHouse, type Installation } from './backup-house.js';

let house: BackupHouse;
let source: Installation;
let folder: BackupFolder;
const BLOBS = Array.from({ length: 12 }, (_, i) => ({ key: `inst/study${String(i % 3)}/blob-${String(i)}`, bytes: randomBytes(i === 0 ? 0 : i === 1 ? 3_000_000 : 50_000 + i) }));

beforeAll(async () => {
  house = await openBackupHouse();
  source = await house.newInstallation();
  await furnish(source);
  for (const { key, bytes } of BLOBS) await putObject(source.store, key, bytes);
  await nameBlob(source, BLOBS[1]?.key ?? '');
  folder = house.newFolder();
  await house.backup(source, folder);
});
afterAll(async () => { await house.close(); });

/** Changes bytes of a file in place. @returns what puts them back */
function damage(path: string, change: (bytes: Buffer) => Buffer): () => void {
  const bytes = readFileSync(path);
  writeFileSync(path, change(Buffer.from(bytes)));
  return () => { writeFileSync(path, bytes); };
}

function flipBit(bytes: Buffer): Buffer {
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

async function expectEmpty(target: Installation): Promise<void> {
  expect(await keysOf(target.store)).toEqual([]);
  const tables = await target.rows(`SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> '_prisma_migrations'`);
  if (tables.length > 0) expect(await target.rows(tables.map(({ name }) => `SELECT '${String(name)}' AS filled WHERE EXISTS (SELECT FROM "${String(name)}")`).join(' UNION ALL '))).toEqual([]);
}

describe('a backup', () => {
  it('fills an empty installation: rows, sequences, blobs, and the wall and triggers stand', async () => {
    const { manifest } = await folder.find();
    expect(manifest.database.tables.find(({ name }) => name === 'users')).toMatchObject({ rows: 40 });
    expect(manifest.blobs).toMatchObject({ count: BLOBS.length, copied: BLOBS.length, missing: 0 });
    const target = await house.newInstallation('no tables');
    await house.restore(target, folder);
    const opened = await target.open();
    await opened.close();
    expect(opened.migrations.applied).toEqual([]);

    for (const table of ['institutions', 'users', 'audit_events', 'model_files', 'blob_tombstones']) {
      const sql = `SELECT t::text AS row FROM ${table} t ORDER BY 1`;
      expect(await target.rows(sql)).toEqual(await source.rows(sql));
    }
    for (const { key, bytes } of BLOBS) expect((await readObject(target.store, key)).equals(bytes)).toBe(true);
    // Nothing that was out of the way stayed so.
    const shape = `SELECT relname, relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled = 'O') AS triggers,
      (SELECT array_agg(conname::text || convalidated ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid) AS constraints FROM pg_class c WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 1`;
    expect(await target.rows(shape)).toEqual(await source.rows(shape));
    await expect(target.rows('DELETE FROM audit_events')).rejects.toThrow(/append|permission denied/i);
    await expect(target.rows(`UPDATE users SET institution_id = gen_random_uuid()`)).rejects.toThrow(/foreign key/);
    const [next] = await target.rows(`SELECT nextval('audit_events_sequence_seq') > (SELECT max(sequence) FROM audit_events) AS after`);
    expect(next).toEqual({ after: true });
    // What the queue had taken and may not have done is handed over again.
    expect(await target.rows('SELECT 1 FROM outbox WHERE dispatched_at IS NOT NULL')).toEqual([]);
    expect(await target.rows('SELECT 1 FROM outbox')).toHaveLength(2);
  });

  it('is verified in a scratch database, and by nobody who cannot open it', async () => {
    expect(await house.verify(folder)).toMatchObject({ intact: true, faults: [], authentic: true, blobs: BLOBS.length, missingBlobs: 0 });
    const stranger = new MasterKey(parseConfig({ MASTER_KEY: randomBytes(32).toString('base64') }));
    await expect(house.verify(folder, { opening: { masterKeys: [stranger] } })).rejects.toMatchObject({ code: 'backup-identity-wrong' });
    await expect(house.verify(folder, { opening: { passphrase: 'a wrong passphrase' } })).rejects.toMatchObject({ code: 'backup-identity-wrong' });
    await expect(house.restore(await house.newInstallation(), folder, { masterKeys: [stranger] })).rejects.toMatchObject({ code: 'backup-key-missing' });
  });

  it('copies what is new, and reads again what was written anew', async () => {
    const [own, backups] = [await house.newInstallation(), house.newFolder()];
    await putObject(own.store, 'a/one', Buffer.from('one'));
    await putObject(own.store, 'a/two', Buffer.from('two'));
    await house.backup(own, backups);
    await putObject(own.store, 'a/three', Buffer.from('three'));
    await putObject(own.store, 'a/one', Buffer.from('ONE'));
    const { manifest } = await house.backup(own, backups);
    expect(manifest.blobs).toMatchObject({ count: 3, copied: 2, copiedBytes: 8, missing: 0 });
    expect((await house.backup(own, backups)).manifest.blobs).toMatchObject({ count: 3, copied: 0 });
    const target = await house.newInstallation();
    await house.restore(target, backups);
    expect([await readObject(target.store, 'a/one'), await readObject(target.store, 'a/three')].map(String)).toEqual(['ONE', 'three']);
    // Of the first backup only that object is its own; with the backup it goes.
    const [first = ''] = await backups.ids();
    renameSync(join(backups.path, first), join(backups.path, '20200101T000000000Z-abcdef'));
    expect((await house.backup(own, backups)).pruned).toEqual({ backups: 1, objects: 1 });
    expect((await house.verify(backups)).intact).toBe(true);
  });

  it('for recipients opens with one of their identities', async () => {
    const [mine, other] = [await generateIdentity(), await generateIdentity()];
    const backups = house.newFolder();
    await house.backup(source, backups, { sealing: { recipients: [await identityToRecipient(other), await identityToRecipient(mine)] } });
    expect((await backups.find()).manifest.sealedFor).toHaveLength(2);
    expect(await house.verify(backups, { opening: { identities: [mine] }, masterKeys: [] })).toMatchObject({ intact: true, authentic: null });
    await expect(house.verify(backups, { opening: { identities: [await generateIdentity()], masterKeys: [house.masterKey] } })).rejects.toMatchObject({ code: 'backup-identity-wrong' });
    await expect(house.backup(source, backups, { sealing: { recipients: ['age1nobody'] } })).rejects.toMatchObject({ code: 'configuration-invalid' });
  });

});

describe('a damaged backup', () => {
  const part = async (name: string): Promise<string> => folder.pathOf((await folder.find()).id, name);
  /** Neither restored nor taken for intact. */
  const expectRefused = async (code = 'backup-corrupt', target?: Installation): Promise<void> => {
    const empty = target ?? (await house.newInstallation());
    await expect(house.restore(empty, folder)).rejects.toMatchObject({ code });
    await expectEmpty(empty);
  };

  it('is refused whole, whichever bit of it is another', async () => {
    const target = await house.newInstallation();
    const { id, manifest } = await folder.find();
    for (const path of [await part(DATABASE_PART), await part(KEYS_PART), await part(BLOBS_PART), await part('manifest.json'), await part('manifest.mac')]) {
      for (const change of [flipBit, (bytes: Buffer) => bytes.subarray(0, bytes.length - 7), (): Buffer => Buffer.alloc(0), (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('0')])]) {
        const repair = damage(path, change);
        await expectRefused('backup-corrupt', target);
        repair();
      }
    }
    // An object is read late, when others lie in the store already.
    const object = folder.objectPath(createHash('sha256').update(BLOBS.at(-1)?.bytes ?? '').digest('hex'));
    const repair = damage(object, flipBit);
    await expectRefused('backup-corrupt', target);
    const verification = await house.verify(folder);
    expect(verification).toMatchObject({ intact: false, faults: [expect.stringContaining('The copy of the blob')] });
    repair();
    renameSync(object, `${object}-away`);
    await expectRefused('backup-corrupt', target);
    renameSync(`${object}-away`, object);
    await house.restore(target, folder);
    expect(await target.rows('SELECT 1 FROM users')).toHaveLength(40);
    expect(manifest.id).toBe(id);
  });

  it('that somebody with the key made up is refused by what is in it', async () => {
    const { id, text, manifest } = await folder.find();
    const target = await house.newInstallation();
    const forge = async (change: (copy: typeof manifest) => void, code = 'backup-corrupt'): Promise<void> => {
      const copy = JSON.parse(text) as typeof manifest;
      change(copy);
      const forged = JSON.stringify(copy);
      const undo = [damage(folder.pathOf(id, 'manifest.json'), () => Buffer.from(forged)), damage(folder.pathOf(id, 'manifest.mac'), () => Buffer.from(manifestMac(forged, house.masterKey)))];
      await expectRefused(code, target);
      for (const one of undo) one();
    };
    const table = (copy: typeof manifest, name: string): (typeof manifest)['database']['tables'][number] => {
      const found = copy.database.tables.find((one) => one.name === name);
      if (!found) throw new Error(`no table ${name}`);
      return found;
    };
    await forge((copy) => { table(copy, 'users').rows++; });
    await forge((copy) => { table(copy, 'users').digest = '0'.repeat(64); });
    await forge((copy) => { table(copy, 'users').sizeBytes = 3; });
    await forge((copy) => { table(copy, 'users').name = 'users"; DROP TABLE institutions; --'; });
    await forge((copy) => { copy.database.tables.splice(3, 1); });
    await forge((copy) => { table(copy, 'users').columns = ['id) FROM PROGRAM \'touch /tmp/owned\' --']; });
    await forge((copy) => { copy.id = '../../../etc'; });
    await forge((copy) => { copy.blobs.count--; });
    await forge((copy) => { copy.format = 2 as 1; }, 'backup-incompatible');
    await forge((copy) => { copy.migrations.push({ name: '99999999000000_future', checksum: 'f'.repeat(64) }); }, 'backup-incompatible');
    await expect(folder.find('../../etc')).rejects.toMatchObject({ code: 'backup-not-found' });
    await expect(folder.find('20200101T000000000Z-aaaaaa')).rejects.toMatchObject({ code: 'backup-not-found' });
  });

  it('with keys that lead out of the store, or lines without end, is refused', async () => {
    const { id, text, manifest } = await folder.find();
    const target = await house.newInstallation();
    const list = join(temporaryDirectory(), 'list');
    for (const key of ['../../../../etc/cron.d/x', '/etc/passwd', 'a/../../b', 'a\u0000b', 'x'.repeat(1_000_000)]) {
      await writeBlobList(`${list}${String(key.length)}`, [{ key, sizeBytes: 1, sha256: 'a'.repeat(64), modifiedMs: 0 }]);
      const bytes = readFileSync(`${list}${String(key.length)}`);
      const forged = JSON.stringify({ ...(JSON.parse(text) as typeof manifest), blobs: { ...manifest.blobs, count: 1, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') } });
      const undo = [damage(folder.pathOf(id, BLOBS_PART), () => bytes), damage(folder.pathOf(id, 'manifest.json'), () => Buffer.from(forged)), damage(folder.pathOf(id, 'manifest.mac'), () => Buffer.from(manifestMac(forged, house.masterKey)))];
      await expectRefused('backup-corrupt', target);
      for (const one of undo) one();
    }
  });
});

describe('a target', () => {
  it('that is not empty is left as it is', async () => {
    const filled = await house.newInstallation();
    const { institutions } = await furnish(filled, 2);
    await expect(house.restore(filled, folder)).rejects.toMatchObject({ code: 'restore-target-not-empty', message: expect.stringContaining('institutions') as string });
    expect(await filled.rows('SELECT id FROM institutions ORDER BY id')).toEqual(institutions.sort().map((id) => ({ id })));
    const stored = await house.newInstallation();
    await putObject(stored.store, 'somebody/elses', Buffer.from('x'));
    await expect(house.restore(stored, folder)).rejects.toMatchObject({ code: 'restore-target-not-empty' });
    expect(await keysOf(stored.store)).toEqual(['somebody/elses']);
  });

  it('takes the rest of a restore that was cut off', async () => {
    const target = await house.newInstallation();
    const [, one] = BLOBS;
    if (!one) throw new Error('no blob');
    await putObject(target.store, one.key, Buffer.from('half of it'));
    await house.restore(target, folder);
    expect((await readObject(target.store, one.key)).equals(one.bytes)).toBe(true);
  });

  it('that kept its blobs while the database was lost keeps them when the restore fails', async () => {
    const target = await house.newInstallation();
    const [, one] = BLOBS;
    if (!one) throw new Error('no blob');
    await putObject(target.store, one.key, one.bytes);
    const repair = damage(folder.objectPath(createHash('sha256').update(BLOBS.at(-1)?.bytes ?? '').digest('hex')), flipBit);
    await expect(house.restore(target, folder)).rejects.toMatchObject({ code: 'backup-corrupt' });
    repair();
    expect(await keysOf(target.store)).toEqual([one.key]);
  });

  it('whose disk is full stays empty', async () => {
    const target = await house.newInstallation();
    target.disk.freeBytes = 500;
    await expect(house.restore(target, folder)).rejects.toMatchObject({ code: 'storage-full' });
    await expectEmpty(target);
  });
});

describe('the sweep', () => {
  it('removes no blobs while a backup is taken', async () => {
    const opened = await source.open();
    const database = new Database(source.config, opened);
    const tombstones = new TombstonesStore(database);
    await source.rows(`INSERT INTO blob_tombstones (blob_key, due_at) VALUES ('inst/due', now() - interval '1 hour')`);
    const due = (): Promise<string[]> => database.transaction('system', (tx) => tombstones.due(tx, 10));
    const holder = await connectAsOwner(source.url, undefined);
    try {
      expect(await due()).toEqual(['inst/due']);
      await holder.query('SELECT pg_advisory_lock($1)', [String(DELETION_HOLD)]);
      expect(await due()).toEqual([]);
    } finally {
      await holder.end();
    }
    expect(await due()).toEqual(['inst/due']);
    await source.rows('DELETE FROM blob_tombstones');
    await database.onApplicationShutdown();
    await opened.close();
  });
});
