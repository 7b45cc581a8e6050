#!/usr/bin/env node
// Writes prisma/migrations/<timestamp>_<name>/migration.sql with what leads from the migrations to prisma/schema.prisma.
// Usage: node prisma/create-migration.mjs <name | timestamp_name>. The shadow database is an embedded one, thrown away after.
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../src/cli/build.mjs';

const name = process.argv[2];
if (!/^(\d{14}_)?[a-z][a-z0-9_]*$/.test(name ?? '')) {
  process.stderr.write('Usage: node prisma/create-migration.mjs <name>   (lower case, words joined by _)\n');
  process.exit(2);
}

const here = dirname(fileURLToPath(import.meta.url));
const migrationsDir = join(here, 'migrations');
await mkdir(migrationsDir, { recursive: true });
await writeFile(join(migrationsDir, 'migration_lock.toml'), '# The database that these migrations are written for.\nprovider = "postgresql"\n');

buildIfStale();
const compiled = (file) => import(new URL(`../dist/src/platform/database/${file}`, import.meta.url).href);
const { openEmbeddedPostgres, discardEmbeddedPostgres } = await compiled('embedded-postgres.js');
const { readMigrations } = await compiled('migrations.js');
const { diffMigrations } = await compiled('migration-engine.js');

const dataDir = await mkdtemp(join(tmpdir(), 'healthvision-shadow-'));
const log = (level, message) => level !== 'info' && process.stderr.write(`${message}\n`);
try {
  const postgres = await openEmbeddedPostgres({ dataDir, log });
  try {
    const schema = await readFile(join(here, 'schema.prisma'), 'utf8');
    const sql = await diffMigrations({ connectionString: postgres.url }, migrationsDir, await readMigrations(migrationsDir), schema);
    if (sql === '') {
      process.stdout.write('The migrations already lead to prisma/schema.prisma.\n');
    } else {
      const timestamp = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);
      const folder = join(migrationsDir, /^\d{14}_/.test(name) ? name : `${timestamp}_${name}`);
      await mkdir(folder);
      await writeFile(join(folder, 'migration.sql'), `${sql}\n`);
      process.stdout.write(`Wrote ${join(folder, 'migration.sql')}; read it before you commit it.\n`);
    }
  } finally {
    await postgres.close();
  }
} finally {
  await discardEmbeddedPostgres(dataDir);
  await rm(dataDir, { recursive: true, force: true });
}
