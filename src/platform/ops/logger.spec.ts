import { openSync, readFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createLogger } from './logger.js';

const folder = mkdtempSync(join(tmpdir(), 'healthvision-log-'));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

describe('the log', () => {
  it('keeps secrets out of its lines, at the top and below', () => {
    const path = join(folder, 'log');
    const logger = createLogger('trace', {}, openSync(path, 'w'));
    for (const name of ['authorization', 'cookie', 'set-cookie', 'x-api-key', 'password', 'otp', 'client_secret', 'client_assertion', 'refresh_token', 'access_token', 'token', 'key']) {
      logger.info({ [name]: 'hidden-1', headers: { [name]: 'hidden-2' }, request: { headers: { [name]: 'hidden-3' } } }, 'a request');
    }
    logger.info({ requestId: 'shown' }, 'shown too');
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('hidden');
    expect(text.match(/shown/g)).toHaveLength(2);
  });
});
