import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { readMigrations } from '../../../src/platform/database/migrations.js';
import { ROOT } from './compile.js';
import { query } from './processes.js';

const MIGRATIONS = join(ROOT, 'prisma', 'migrations');
const BACKFILL = '20261124205000_patients_backfilled';

let folder: string;
let postgres: EmbeddedPostgres;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'healthvision-backfill-')));
  await chmod(folder, 0o755);
  postgres = await openEmbeddedPostgres({ dataDir: join(folder, 'data'), log: () => undefined });
});
afterAll(async () => {
  await postgres.close();
  await discardEmbeddedPostgres(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true });
});

describe('the migration that makes patients', () => {
  it('gives the studies of before theirs: one per institution and Patient ID, as old as the first study', async () => {
    const run = async (name: string): Promise<void> => { await query(postgres.url, await readFile(join(MIGRATIONS, name, 'migration.sql'), 'utf8')); };
    for (const { name } of await readMigrations(MIGRATIONS)) if (name < BACKFILL) await run(name);
    const [here, there] = [uuidv7(), uuidv7()];
    const study = async (institution: string, token: number | null, createdAt: string): Promise<void> => {
      const id = uuidv7();
      await query(postgres.url, `INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, patient_id_token, search_tokens, modalities, sop_classes, last_instance_at, created_at, updated_at)
        VALUES ('${id}', '${institution}', '${id}', '${id}', '', ${String(token)}, '{}', '{}', '{}', now(), '${createdAt}', now())`);
    };
    await study(here, 7, '2026-03-01T00:00:00Z');
    await study(here, 7, '2026-02-01T00:00:00Z');
    await study(here, -8, '2026-04-01T00:00:00Z');
    await study(here, null, '2026-04-01T00:00:00Z');
    await study(there, 7, '2026-05-01T00:00:00Z');
    await run(BACKFILL);
    const patients = await query<{ id: string; institution_id: string; token: string; studies: string; created_at: Date }>(postgres.url,
      'SELECT p.id, p.institution_id, p.patient_id_token AS token, p.created_at, count(s.id) AS studies FROM patients p LEFT JOIN studies s ON s.patient_id = p.id GROUP BY p.id ORDER BY p.id');
    expect(patients.map(({ institution_id, token, studies }) => [institution_id, token, studies])).toEqual([[here, '7', '2'], [here, '-8', '1'], [there, '7', '1']]);
    for (const { id, created_at } of patients) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(created_at.getTime());
    }
    expect((await query<{ n: string }>(postgres.url, 'SELECT count(*) AS n FROM studies WHERE (patient_id IS NULL) <> (patient_id_token IS NULL)'))[0]?.n).toBe('0');
  });
});
