import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prisma } from '../../../src/generated/prisma/client.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { testInstance } from './instances.js';
import { retrieve, store } from './wado-parts.js';

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });

const RESOURCES = ['', '/metadata', '/rendered', '/thumbnail', '/bulkdata', '/pixeldata'];
const OF_INSTANCE = ['/frames/1', '/frames/1/rendered', '/frames/1/thumbnail', '/bulkdata/7FE00010'];

/** Every route of WADO-RS for one instance. */
function routesOf({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: ReturnType<typeof testInstance>): string[] {
  const series = `${studyInstanceUid}/series/${seriesInstanceUid}`;
  const instance = `${series}/instances/${sopInstanceUid}`;
  return [...[studyInstanceUid, series, instance].flatMap((path) => RESOURCES.map((resource) => path + resource)), ...OF_INSTANCE.map((resource) => instance + resource)];
}

describe('What is retrieved', () => {
  it('is there for the institution that stored it and for no other', async () => {
    const one = testInstance();
    await store(house, one.bytes);
    const [neighbour, auditor] = [await house.person('admin', 'elsewhere'), await house.person('auditor', 'here')];
    for (const path of routesOf(one)) {
      expect((await retrieve(house, path)).status, path).toBe(200);
      expect(await retrieve(house, path, undefined, { authorization: neighbour.authorization }), path).toMatchObject({ status: 404, code: 'study-not-found' });
      expect((await retrieve(house, path, undefined, { authorization: auditor.authorization })).status, path).toBe(403);
      expect((await retrieve(house, path, undefined, { authorization: 'Bearer nonsense' })).status, path).toBe(401);
    }
  });

  it('is gone for good once its key is destroyed', async () => {
    const one = testInstance();
    await store(house, one.bytes);
    const [study] = await house.database.read<{ key_id: string }>('system', Prisma.sql`SELECT key_id FROM studies WHERE study_instance_uid = ${one.studyInstanceUid}`);
    const vault = house.app.get(KeyVault);
    await house.database.transaction('system', (tx) => vault.destroy(tx, [study?.key_id ?? '']));
    vault.forget(study?.key_id ?? '');
    for (const path of routesOf(one)) expect(await retrieve(house, path), path).toMatchObject({ status: 410, code: 'key-destroyed' });
  });
});
