import { randomBytes, randomUUID } from 'node:crypto';
import { Global, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { CONFIG, parseConfig } from '../../../src/platform/config.js';
import { KeyRotationService } from '../../../src/platform/crypto/key-rotation.service.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { VaultModule } from '../../../src/platform/crypto/vault.module.js';
import { Database, prismaOf } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger, LOGGER } from '../../../src/platform/ops/logger.js';
import { preparedDirectory } from '../../support/data-directory.js';

const dataDir = await preparedDirectory();
const logger = createLogger('error', {}, 2);
const [first, second] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
let database: OpenedDatabase;
const running: INestApplicationContext[] = [];

beforeAll(async () => {
  database = await openDatabase(parseConfig({ DATA_DIR: dataDir }), logger);
}, 120_000);

afterAll(async () => {
  for (const app of running) await app.close();
  await database.close();
});

/** A process of its own, as far as keys are concerned. */
async function start(keys: { MASTER_KEY: string; MASTER_KEY_PREVIOUS?: string }): Promise<INestApplicationContext> {
  @Global()
  @Module({ providers: [{ provide: CONFIG, useValue: parseConfig({ DATA_DIR: dataDir, ...keys }) }, { provide: LOGGER, useValue: logger }], exports: [CONFIG, LOGGER] })
  class Settings {}
  class Wiring {}
  const app = await NestFactory.createApplicationContext({ module: Wiring, imports: [Settings, DatabaseModule.forUrls(database), VaultModule] }, { logger: false, abortOnError: false });
  running.push(app);
  await app.get(KeyVault).assertMasterKey();
  return app;
}

const secret = Buffer.from('ZHANG^WEI');

describe('the key vault', () => {
  it('gives every process the same key of a study, whoever asks first', async () => {
    const [one, other] = [(await start({ MASTER_KEY: first })).get(KeyVault), (await start({ MASTER_KEY: first })).get(KeyVault)];
    const [institution, study] = [randomUUID(), newDicomUid()];
    const keys = await Promise.all([one.keyOfStudy(institution, study), other.keyOfStudy(institution, study), one.keyOfStudy(institution, study)]);
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1);
    const sealed = keys[0].seal(secret, 'x');
    expect((await other.keyById(keys[0].id)).open(sealed, 'x').equals(secret)).toBe(true);
    expect(() => keys[0].open(sealed, 'y')).toThrow(expect.objectContaining({ code: 'blob-corrupt' }));
    expect((await one.blindIndex(institution)).token('PatientID', 'whole', 'A')).toBe((await other.blindIndex(institution)).token('PatientID', 'whole', 'A'));
    expect((await one.blindIndex(randomUUID())).token('PatientID', 'whole', 'A')).not.toBe((await other.blindIndex(institution)).token('PatientID', 'whole', 'A'));
  });

  it('makes what a destroyed key encrypted unreadable', async () => {
    const app = await start({ MASTER_KEY: first });
    const vault = app.get(KeyVault);
    const [institution, study] = [randomUUID(), newDicomUid()];
    const key = await vault.keyOfStudy(institution, study);
    await app.get(Database).transaction({ institutionId: institution }, (tx) => vault.destroy(tx, [key.id]));
    vault.forget(key.id);
    await expect(vault.keyById(key.id)).rejects.toMatchObject({ code: 'key-destroyed' });
    expect((await vault.keysById([key.id])).size).toBe(0);
    await expect(app.get(Database).transaction({ institutionId: institution }, (tx) => vault.hold(tx, key))).rejects.toMatchObject({ code: 'study-deleted' });
    expect((await vault.keyOfStudy(institution, study)).id).not.toBe(key.id);
  });

  it('exchanges the master key without touching what is encrypted', async () => {
    const before = (await start({ MASTER_KEY: first })).get(KeyVault);
    const institution = randomUUID();
    const studies = Array.from({ length: 7 }, () => newDicomUid());
    const sealed = await Promise.all(studies.map(async (study) => (await before.keyOfStudy(institution, study)).seal(secret, study)));
    const index = (await before.blindIndex(institution)).token('PatientID', 'whole', 'A');

    await expect(start({ MASTER_KEY: second })).rejects.toMatchObject({ code: 'configuration-invalid' });
    const both = await start({ MASTER_KEY: second, MASTER_KEY_PREVIOUS: first });
    const progress = await both.get(KeyRotationService).rotate();
    expect(progress.institutionKeys).toBeGreaterThanOrEqual(2);
    expect(progress.studyKeys).toBeGreaterThanOrEqual(7);
    expect((await both.get(KeyRotationService).rotate()).institutionKeys).toBe(0);

    const after = (await start({ MASTER_KEY: second })).get(KeyVault);
    for (const [n, study] of studies.entries()) expect((await after.keyOfStudy(institution, study)).open(sealed[n] ?? Buffer.alloc(0), study).equals(secret)).toBe(true);
    expect((await after.blindIndex(institution)).token('PatientID', 'whole', 'A')).toBe(index);
    await expect(start({ MASTER_KEY: first })).rejects.toMatchObject({ code: 'configuration-invalid' });
  });

  it('wraps nothing by the key before, once a rotation is over', async () => {
    const [running, other] = [await start({ MASTER_KEY: second }), await start({ MASTER_KEY: second })];
    const institution = randomUUID();
    await running.get(KeyVault).keyOfStudy(institution, newDicomUid());
    await other.get(KeyRotationService).rotate();
    await running.get(KeyVault).keyOfStudy(institution, newDicomUid());
    const keys = await running.get(Database).transaction({ institutionId: institution }, (tx) => prismaOf(tx).studyKey.findMany());
    expect([keys.length, new Set(keys.map(({ wrappingKeyId }) => wrappingKeyId)).size]).toEqual([2, 1]);
  });
});
