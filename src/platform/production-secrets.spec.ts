import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { temporaryFile } from '../../test/support/product.js';
import { linesOf } from '../../test/support/config-lines.js';
import { productionFaults } from './production-secrets.js';

const KEY = randomBytes(32).toString('base64');
const good = { MASTER_KEY: KEY };
const names = (lines: readonly string[]): string[] => lines.map((line) => line.split(':')[0] ?? '');

describe('secrets in production', () => {
  it('are all told of at once, each in a line, whatever else is wrong, and none is shown', () => {
    const secrets = { MASTER_KEY: Buffer.alloc(32).toString('base64'), BOOTSTRAP_ADMIN_PASSWORD: 'Passw0rd-1234', DATABASE_URL: 'postgresql://app:minioadmin@db/hv', DATABASE_MIGRATION_URL: 'postgresql://owner@db/hv', REDIS_URL: 'redis://redis:6379', S3_ACCESS_KEY_ID: 'minio', S3_SECRET_ACCESS_KEY: 'minioadmin' };
    const lines = linesOf({ NODE_ENV: 'production', PORT: '99999', ...secrets });
    expect(names(lines)).toEqual(['PORT', 'MASTER_KEY', 'BOOTSTRAP_ADMIN_PASSWORD', 'DATABASE_URL', 'DATABASE_MIGRATION_URL', 'REDIS_URL', 'S3_SECRET_ACCESS_KEY']);
    const text = lines.join('\n');
    for (const secret of ['minioadmin', 'Passw0rd', secrets.MASTER_KEY]) expect(text).not.toContain(secret);
    expect(linesOf(secrets)).toEqual([]);
  });

  it.each([
    ['zeros', Buffer.alloc(32)], ['one byte again and again', Buffer.alloc(32, 0xa7)], ['a pattern', Buffer.alloc(32, 'deadbeef', 'hex')], ['one half twice', Buffer.concat([...Array<Buffer>(2)].map(() => Buffer.from(KEY, 'base64').subarray(0, 16)))],
    ['numbers in order', Buffer.from(Array.from({ length: 32 }, (_, index) => index))], ['words', Buffer.from('this is 32 bytes of a passphrase')],
  ])('refuse a master key of %s', (_, key) => {
    expect(productionFaults({ MASTER_KEY: key.toString('base64') })).toEqual(['MASTER_KEY: is not random: anybody could guess it (openssl rand -base64 32)']);
  });

  it('take every key that is random', () => {
    for (let i = 0; i < 1_000; i++) expect(productionFaults({ MASTER_KEY: randomBytes(32).toString('base64') })).toEqual([]);
  });

  it('tell of a master key that is missing or of another length once', () => {
    expect(linesOf({ NODE_ENV: 'production' })).toEqual(['MASTER_KEY: is required when NODE_ENV=production (openssl rand -base64 32)']);
    expect(linesOf({ NODE_ENV: 'production', MASTER_KEY: 'c2hvcnQ=' })).toEqual(['MASTER_KEY: must be 32 bytes in base64 (openssl rand -base64 32)']);
  });

  it('are looked at in files, too, and one whose file is missing is told of once', () => {
    const weak = temporaryFile('password', Buffer.from('changeme\n'));
    expect(linesOf({ NODE_ENV: 'production', MASTER_KEY_FILE: '/nowhere', S3_ACCESS_KEY_ID: 'hv', S3_SECRET_ACCESS_KEY_FILE: weak })).toEqual(['MASTER_KEY_FILE: there is no such file', 'S3_SECRET_ACCESS_KEY: is a secret that anybody would try first']);
  });

  it.each([
    'postgresql://postgres:postgres@db/hv', 'postgresql://app:changeme@db/hv', 'postgresql://app:Change-Me-123@db/hv', 'postgresql://app:app@db/hv', 'postgresql://app@db/hv', 'postgresql://db/hv',
    'postgresql://app:@db/hv', 'postgresql://app@/hv?host=db.example&password=password1', 'postgresql://app:123456@db/hv', 'postgresql://app:%3Cpassword%3E@db/hv', 'postgresql://hidden-4711-okapi:hidden-4711-okapi@db/hv',
  ])('refuse %s', (url) => {
    expect(names(productionFaults({ ...good, DATABASE_URL: url }))).toEqual(['DATABASE_URL']);
  });

  it.each([
    ['a password of its own', { DATABASE_URL: 'postgresql://app:okapi-zebra-4711@db/hv' }],
    ['a socket, where the operating system says who comes', { DATABASE_URL: 'postgresql://app@/hv?host=/run/postgresql' }],
    ['a certificate', { DATABASE_URL: 'postgresql://app@db/hv?sslcert=/tls/client.crt' }],
    ['a password beside the URL', { DATABASE_URL: 'postgresql://app@db/hv', PGPASSWORD: 'okapi-zebra-4711' }],
    ['no database of their own', {}],
    ['Redis with a password alone', { REDIS_URL: 'rediss://:okapi-zebra-4711@redis:6379/1' }],
    ['keys of the machine', { BLOB_STORE: 's3', S3_BUCKET: 'hv' }],
  ])('take %s', (_, variables) => {
    expect(productionFaults({ ...good, ...variables })).toEqual([]);
  });

  it('refuse passwords of sentinels and the secret of a bucket that stand in every manual', () => {
    expect(names(productionFaults({ ...good, REDIS_SENTINEL_PASSWORD: 'foobared', S3_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', S3_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }))).toEqual(['REDIS_SENTINEL_PASSWORD', 'S3_SECRET_ACCESS_KEY']);
    expect(names(productionFaults({ ...good, S3_ACCESS_KEY_ID: 'the-same-1', S3_SECRET_ACCESS_KEY: 'the-same-1' }))).toEqual(['S3_SECRET_ACCESS_KEY']);
  });

  it('ask of the first administrator what the policy asks of people', () => {
    const of = (password: string): string[] => productionFaults({ ...good, BOOTSTRAP_ADMIN_EMAIL: 'chief@clinic.test', BOOTSTRAP_ADMIN_PASSWORD: password });
    expect(of('okapi-zebra')).toEqual(['BOOTSTRAP_ADMIN_PASSWORD: must have at least 12 characters in production']);
    expect(of('administrator')).toEqual(['BOOTSTRAP_ADMIN_PASSWORD: is a password that anybody would try first']);
    expect(of('chief@clinic.test1')).toHaveLength(1);
    expect(of('okapi-zebra-quokka')).toEqual([]);
  });
});
