import { describe, expect, it } from 'vitest';
import { linesOf } from '../../test/support/config-lines.js';
import { parseConfig } from './config.js';

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

  it.each([
    ['https://imaging.hospital.test', 'https://imaging.hospital.test'], ['https://imaging.hospital.test/', 'https://imaging.hospital.test'], ['http://localhost:8080//', 'http://localhost:8080'], ['https://hospital.test/imaging/', 'https://hospital.test/imaging'],
  ])('puts paths behind PUBLIC_URL=%s', (text, address) => {
    expect(parseConfig({ PUBLIC_URL: text }).PUBLIC_URL).toBe(address);
  });

  it.each(['imaging.hospital.test', 'ftp://imaging.hospital.test', 'https://imaging.hospital.test/?a=b', 'https://imaging.hospital.test/#a', 'https://name:secret@imaging.hospital.test'])('refuses PUBLIC_URL=%s', (text) => {
    const lines = linesOf({ PUBLIC_URL: text });
    expect(lines).toEqual([expect.stringMatching(/^PUBLIC_URL: must be an address /)]);
    expect(lines.join()).not.toContain('secret');
  });

  it('names every invalid variable in a line of its own', () => {
    const lines = linesOf({ PORT: '99999', APP_ROLE: 'both', MASTER_KEY: 'short', EXECUTION_PROVIDERS: 'cpu,gpu' });
    expect(lines.map((line) => line.split(':')[0])).toEqual(['PORT', 'APP_ROLE', 'MASTER_KEY', 'EXECUTION_PROVIDERS.1']);
  });

  it('exports traces only where an address says so', () => {
    const traces = (variables: NodeJS.ProcessEnv): unknown => parseConfig(variables).traces;
    expect(traces({ OTEL_SERVICE_NAME: 'x' })).toBeUndefined();
    expect(traces({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
    expect(traces({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/', APP_ROLE: 'worker' })).toEqual({ url: 'http://collector:4318/v1/traces', headers: {}, caFile: undefined, serviceName: 'healthvision-worker', attributes: {}, ratio: 1 });
    expect(traces({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/x', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other', OTEL_EXPORTER_OTLP_HEADERS: 'a=b%2Cc, d = e=f', OTEL_RESOURCE_ATTRIBUTES: 'service.name=lab', OTEL_TRACES_SAMPLER_ARG: '0.25' }))
      .toMatchObject({ url: 'https://collector/x', headers: { a: 'b,c', d: 'e=f' }, serviceName: 'lab', ratio: 0.25 });
    const wrong = { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318', OTEL_EXPORTER_OTLP_HEADERS: 'secret', OTEL_TRACES_SAMPLER_ARG: '10', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_RESOURCE_ATTRIBUTES: 'a=%' };
    expect(linesOf(wrong).map((line) => line.split(':')[0]).sort()).toEqual(Object.keys(wrong).sort());
    expect(linesOf(wrong).join()).not.toContain('secret');
    expect(linesOf({ OTEL_EXPORTER_OTLP_CERTIFICATE: '/no/such/file' })).toEqual(['OTEL_EXPORTER_OTLP_CERTIFICATE: there is no such file']);
  });

  it('asks for what another choice makes necessary', () => {
    expect(linesOf({ QUEUE_BACKEND: 'redis' })).toEqual(['REDIS_URL: is required when QUEUE_BACKEND=redis']);
    expect(linesOf({ REDIS_URL: 'redis://redis.hospital.test?db=2' })).toEqual(['REDIS_URL: takes nothing after the host but the number of a database']);
    expect(linesOf({ REDIS_URL: 'rediss://:secret@mymaster/2', REDIS_SENTINELS: 'one:26379,[::1]:26379,two' })).toEqual([]);
    expect(linesOf({ REDIS_SENTINELS: 'redis://one,two' })).toEqual(['REDIS_SENTINELS: "redis://one" is neither a host nor host:port', 'REDIS_SENTINELS: needs REDIS_URL, whose host is the name of the primary']);
    expect(linesOf({ REDIS_URL: 'redis://mymaster', REDIS_SENTINELS: 'redis://:secret@one' })).toEqual(['REDIS_SENTINELS: "…@one" is neither a host nor host:port']);
    expect(linesOf({ REDIS_URL: 'redis://mymaster', REDIS_SENTINELS: ',' })).toEqual(['REDIS_SENTINELS: must name at least one sentinel']);
    expect(linesOf({ NODE_ENV: 'production' })).toHaveLength(1);
  });
});
