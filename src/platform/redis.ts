import { readFileSync } from 'node:fs';
import type { Config } from './config.js';

export type RedisSettings = Pick<Config, 'REDIS_URL' | 'REDIS_CA_FILE' | 'REDIS_SENTINELS' | 'REDIS_SENTINEL_PASSWORD'>;

export interface RedisAddress {
  host: string;
  port: number;
}

/** The options of ioredis that say where it connects to. */
export interface RedisWay extends Partial<RedisAddress> {
  sentinels?: RedisAddress[];
  name?: string;
  username?: string;
  password?: string;
  db?: number;
  tls?: { ca?: string };
  sentinelPassword?: string;
  failoverDetector?: boolean;
  sentinelCommandTimeout?: number;
  enableTLSForSentinelMode?: boolean;
  sentinelTLS?: { ca?: string };
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
/** One that takes connections and says nothing is passed over. */
const SENTINEL_PATIENCE_MS = 2_000;

/**
 * How every connection of this process reaches Redis: where `REDIS_URL` says, or, with `REDIS_SENTINELS`, whichever server the sentinels say is the
 * primary now of the name that stands where the URL has its host.
 *
 * @see https://redis.io/docs/latest/develop/reference/sentinel-clients/
 */
export function redisOptions({ REDIS_URL, REDIS_CA_FILE, REDIS_SENTINELS, REDIS_SENTINEL_PASSWORD }: RedisSettings): RedisWay {
  const url = new URL(REDIS_URL ?? '');
  const tls = url.protocol === 'rediss:' || REDIS_CA_FILE !== undefined ? { ...(REDIS_CA_FILE && { ca: readFileSync(REDIS_CA_FILE, 'utf8') }) } : undefined;
  const db = Number(url.pathname.slice(1));
  const common: RedisWay = {
    ...(url.username !== '' && { username: decodeURIComponent(url.username) }), ...(url.password !== '' && { password: decodeURIComponent(url.password) }), ...(db > 0 && { db }),
    ...(tls && { tls }),
  };
  if (!REDIS_SENTINELS) return { ...common, ...addressOf(url) };
  return {
    ...common, sentinels: REDIS_SENTINELS.map(sentinelOf), name: decodeURIComponent(url.hostname), failoverDetector: true, sentinelCommandTimeout: SENTINEL_PATIENCE_MS,
    ...(REDIS_SENTINEL_PASSWORD && { sentinelPassword: REDIS_SENTINEL_PASSWORD }), ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  };
}

export function redisAddress({ REDIS_URL }: Pick<RedisSettings, 'REDIS_URL'>): RedisAddress {
  return addressOf(new URL(REDIS_URL ?? ''));
}

/** host, host:port, [address] or [address]:port */
function sentinelOf(entry: string): RedisAddress {
  return addressOf(new URL(`redis://${entry}`), SENTINEL_PORT);
}

function addressOf({ hostname, port }: URL, otherwise = REDIS_PORT): RedisAddress {
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || otherwise) };
}
