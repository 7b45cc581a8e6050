import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort, startRedis, startSentinel, type RedisServer } from '../../support/redis.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

const NAME = 'mymaster';
const PATIENCE_MS = 20_000;

interface Member {
  port: number;
  proxy: TcpProxy;
  server: RedisServer;
}

/** Two Redis, one the replica of the other, and a sentinel; everybody reaches both through proxies, each other too. */
export interface RedisPair {
  settings: Readonly<Record<string, string>>;
  /** The way to the one that is the primary now. */
  proxy(): Promise<TcpProxy>;
  /** The primary ends and comes back empty. */
  kill(): Promise<void>;
  /** The replica becomes the primary. */
  changePrimary(): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

export async function startRedisPair(restartMs: number): Promise<RedisPair> {
  const member = async (primary?: TcpProxy): Promise<Member> => {
    const port = await freePort();
    const proxy = await startTcpProxy({ host: '127.0.0.1', port });
    return { port, proxy, server: await startRedis(port, settingsOf(proxy, primary)) };
  };
  const settingsOf = (proxy: TcpProxy, primary?: TcpProxy): string[] => [
    '--replica-announce-ip', '127.0.0.1', '--replica-announce-port', String(proxy.port), ...(primary ? ['--replicaof', `127.0.0.1 ${String(primary.port)}`] : []),
  ];
  const first = await member();
  const members = [first, await member(first.proxy)];
  const sentinel = await startSentinel(first.proxy.port);
  const sentinelPort = Number(new URL(sentinel.url).port);
  const asked = new Redis(sentinelPort, '127.0.0.1');
  asked.on('error', () => undefined);
  const primary = async (): Promise<Member> => {
    const [, port] = (await asked.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as [string, string]; // the sentinel's answer
    return members.find(({ proxy }) => proxy.port === Number(port)) ?? first;
  };
  const replicaIsThere = async (): Promise<void> => {
    for (const until = Date.now() + PATIENCE_MS; Date.now() < until;) {
      const [state] = (await asked.call('SENTINEL', 'REPLICAS', NAME)) as string[][]; // the sentinel's answer: names and values
      if (state?.[state.indexOf('master-link-status') + 1] === 'ok') return;
      await wait(200);
    }
  };
  await replicaIsThere();
  return {
    settings: { REDIS_URL: `redis://${NAME}`, REDIS_SENTINELS: `127.0.0.1:${String(sentinelPort)}` },
    proxy: async () => (await primary()).proxy,
    kill: async () => {
      const dying = await primary();
      const { process: child } = dying.server;
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await wait(restartMs);
      dying.server = await startRedis(dying.port, settingsOf(dying.proxy));
    },
    changePrimary: async () => {
      await replicaIsThere();
      await asked.call('SENTINEL', 'FAILOVER', NAME);
    },
    flush: async () => {
      const client = new Redis((await primary()).port, '127.0.0.1', { maxRetriesPerRequest: 1 });
      client.on('error', () => undefined);
      await client.flushall().finally(() => { client.disconnect(); });
    },
    close: async () => {
      asked.disconnect();
      await sentinel.stop();
      for (const { server, proxy } of members) {
        await server.stop();
        proxy.close();
      }
    },
  };
}
