import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from './product.js';

export interface RedisServer {
  url: string;
  process: ChildProcess;
  stop(): Promise<void>;
}

/** True, or false with a loud line, when Debian's redis-server is not installed. */
export function redisIsInstalled(): boolean {
  const there = spawnSync('redis-server', ['--version']).status === 0;
  if (!there) console.warn('SKIPPED: redis-server is not installed; the Redis side is not tested');
  return there;
}

/** A Redis of the test's own, without persistence. @param given  where the one before was; a free port by default @param more  settings beside the usual ones */
export async function startRedis(given?: number, more: readonly string[] = []): Promise<RedisServer> {
  const port = given ?? (await freePort());
  return serve(port, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction', '--dir', temporaryDirectory(), ...more]);
}

/** A sentinel that looks after the Redis at a port by the name `mymaster`, and makes a replica the primary when it is silent for a second. */
export async function startSentinel(primaryPort: number): Promise<RedisServer> {
  const port = await freePort();
  const file = join(temporaryDirectory(), 'sentinel.conf');
  writeFileSync(file, [
    `port ${String(port)}`, 'bind 127.0.0.1', `sentinel monitor mymaster 127.0.0.1 ${String(primaryPort)} 1`, 'sentinel down-after-milliseconds mymaster 1000', 'sentinel failover-timeout mymaster 5000',
  ].join('\n'));
  return serve(port, [file, '--sentinel']);
}

async function serve(port: number, settings: readonly string[]): Promise<RedisServer> {
  const child = spawn('redis-server', settings, { stdio: 'ignore' });
  for (let attempt = 0; !(await answers(port)); attempt++) {
    if (attempt > 100) throw new Error('redis-server did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url: `redis://127.0.0.1:${String(port)}`,
    process: child,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => { resolve(false); });
  });
}
