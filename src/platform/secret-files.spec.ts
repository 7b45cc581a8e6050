import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../test/support/config-lines.js';
import { parseConfig } from './config.js';

const folder = mkdtempSync(join(tmpdir(), 'hv-secrets-'));
const KEY = randomBytes(32).toString('base64');

describe('a secret in a file', () => {
  it('is read without the line break at its end', () => {
    expect(parseConfig({ NODE_ENV: 'production', MASTER_KEY_FILE: file('key', `${KEY}\n`) }).MASTER_KEY).toBe(KEY);
    expect(parseConfig({ BOOTSTRAP_ADMIN_PASSWORD_FILE: file('password', ' with blanks \r\n') }).BOOTSTRAP_ADMIN_PASSWORD).toBe(' with blanks ');
  });

  it('counts where another setting needs it', () => {
    expect(parseConfig({ QUEUE_BACKEND: 'redis', REDIS_URL_FILE: file('redis', 'redis://:secret@redis:6379') }).REDIS_URL).toBe('redis://:secret@redis:6379');
  });

  it('says in one line which file is missing, and nothing of what is missing because of it', () => {
    expect(linesOf({ NODE_ENV: 'production', MASTER_KEY_FILE: join(folder, 'nowhere') })).toEqual(['MASTER_KEY_FILE: there is no such file']);
  });

  it('refuses a file that holds nothing, a folder, and both ways at once', () => {
    expect(linesOf({ MASTER_KEY_FILE: file('empty', '\n'), DATABASE_URL_FILE: folder, SMTP_URL: 'smtp://relay', SMTP_URL_FILE: file('smtp', 'smtp://relay') })).toEqual([
      'DATABASE_URL_FILE: is a folder', 'MASTER_KEY_FILE: the file is empty', 'SMTP_URL, SMTP_URL_FILE: give one of them',
    ]);
  });

  it('is checked like one in the environment, under the same name', () => {
    expect(linesOf({ MASTER_KEY_FILE: file('short', 'short') })).toEqual(['MASTER_KEY: must be 32 bytes in base64 (openssl rand -base64 32)']);
  });

  it('is no way to give what is not a secret', () => {
    expect(parseConfig({ HOST_FILE: file('host', 'elsewhere') }).HOST).toBe('0.0.0.0');
  });
});

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
