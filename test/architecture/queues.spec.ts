import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BLOB_REFERENCES } from '../../src/platform/storage/orphans.store.js';
import { QUEUES } from '../../src/roles/queues.js';
import { JOBS } from '../../src/roles/worker.js';

describe('the list of queues', () => {
  it('names those that workers consume, for processes that do not load them', () => {
    expect([...QUEUES].sort()).toEqual(JOBS.map(({ queue }) => queue).sort());
  });
});

describe('the list of tables that name blobs', () => {
  it('has every one of the schema: what it lacks would be taken for an orphan', () => {
    const schema = readFileSync(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8');
    const tables = [...schema.matchAll(/^model \w+ \{(.*?)@@map\("(\w+)"\)/gms)].filter(([, body = '']) => /blobKey|blob_key/.test(body)).map(([, , table]) => table);
    expect(tables.sort()).toEqual(BLOB_REFERENCES.map(({ table }) => table).sort());
  });
});
