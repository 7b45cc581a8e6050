import { describe, expect, it } from 'vitest';
import { ConfigurationError, parseConfig } from './config.js';

describe('the configuration', () => {
  it('has the defaults that the documentation names', () => {
    expect(parseConfig({})).toMatchObject({ PORT: 8080, HOST: '0.0.0.0', APP_ROLE: 'all', QUEUE_BACKEND: 'postgres', BLOB_STORE: 'fs', SETTLE_SECONDS: 30, MAX_UPLOAD_BYTES: 4 * 2 ** 30, EXECUTION_PROVIDERS: ['cpu'] });
  });

  it('is frozen', () => {
    expect(Object.isFrozen(parseConfig({}))).toBe(true);
  });

  it('takes an empty variable for an unset one', () => {
    expect(parseConfig({ PORT: '', DATABASE_URL: '' }).PORT).toBe(8080);
  });

  it.each([
    ['MAX_UPLOAD_BYTES', '500MB', 500e6], ['MAX_UPLOAD_BYTES', '2 GiB', 2 ** 31], ['MAX_UPLOAD_BYTES', '1024', 1024],
  ])('reads %s=%s', (name, text, value) => {
    expect(parseConfig({ [name]: text })).toMatchObject({ [name]: value });
  });

  it('names every invalid variable in a line of its own', () => {
    const lines = linesOf({ PORT: '99999', APP_ROLE: 'both', MASTER_KEY: 'short', EXECUTION_PROVIDERS: 'cpu,gpu' });
    expect(lines.map((line) => line.split(':')[0])).toEqual(['PORT', 'APP_ROLE', 'MASTER_KEY', 'EXECUTION_PROVIDERS.1']);
  });

  it('asks for what another choice makes necessary', () => {
    expect(linesOf({ QUEUE_BACKEND: 'redis' })).toEqual(['REDIS_URL: is required when QUEUE_BACKEND=redis']);
    expect(linesOf({ REDIS_URL: 'redis://redis.hospital.test?db=2' })).toEqual(['REDIS_URL: takes nothing after the host but the number of a database']);
    expect(linesOf({ REDIS_URL: 'rediss://:secret@mymaster/2', REDIS_SENTINELS: 'one:26379,[::1]:26379,two' })).toEqual([]);
    expect(linesOf({ REDIS_SENTINELS: 'redis://one,two' })).toEqual(['REDIS_SENTINELS: "redis://one" is neither a host nor host:port', 'REDIS_SENTINELS: needs REDIS_URL, whose host is the name of the primary']);
    expect(linesOf({ REDIS_URL: 'redis://mymaster', REDIS_SENTINELS: ',' })).toEqual(['REDIS_SENTINELS: must name at least one sentinel']);
    expect(linesOf({ NODE_ENV: 'production' })).toHaveLength(1);
  });
});

function linesOf(variables: NodeJS.ProcessEnv): string[] {
  try {
    parseConfig(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.lines;
    throw error;
  }
}
