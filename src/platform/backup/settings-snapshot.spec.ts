import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config.js';
import { differences, publicSettings } from './settings-snapshot.js';

const CANARY = 'canary-5d1c';

describe('publicSettings', () => {
  it('tells what the environment decides and nothing secret', () => {
    const settings = publicSettings(parseConfig({
      MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), MASTER_KEY_PREVIOUS: Buffer.alloc(32, 8).toString('base64'), BOOTSTRAP_ADMIN_PASSWORD: CANARY, S3_BUCKET: 'images', S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: CANARY, DATABASE_URL: `postgresql://hv:${CANARY}@db.hospital.test:5432/hv?sslmode=require&password=${CANARY}`, REDIS_URL: `rediss://:${CANARY}@redis.hospital.test:6379`,
      SMTP_URL: `smtps://robot:${CANARY}%2Fx@mail.hospital.test:465`, BLOB_STORE: 's3', PORT: '9000',
    }));
    const text = JSON.stringify(settings);
    expect(text).not.toContain(CANARY);
    expect(text).not.toContain(Buffer.alloc(32, 7).toString('base64'));
    expect(text).not.toContain(Buffer.alloc(32, 8).toString('base64'));
    expect(settings).toMatchObject({
      DATABASE_URL: 'postgresql://db.hospital.test:5432/hv?sslmode=require', REDIS_URL: 'rediss://redis.hospital.test:6379', SMTP_URL: 'smtps://mail.hospital.test:465', PORT: 9000, S3_BUCKET: 'images',
    });
  });

  it('survives passwords that are written without escapes, and sockets', () => {
    expect(publicSettings(parseConfig({ SMTP_URL: `smtp://robot:${CANARY}/@?${CANARY}@mail.test` }))).toMatchObject({ SMTP_URL: 'smtp://mail.test' });
    expect(publicSettings(parseConfig({ DATABASE_URL: `postgresql://hv:${CANARY}@/hv?host=/run/postgresql` }))).toMatchObject({ DATABASE_URL: 'postgresql:///hv?host=/run/postgresql' });
  });
});

describe('differences', () => {
  it('names what changed, came and went', () => {
    expect(differences({ PORT: 1, HOST: 'a', OLD: true }, { PORT: 2, HOST: 'a', NEW: [] })).toEqual(['NEW', 'OLD', 'PORT']);
  });
});
