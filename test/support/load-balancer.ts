import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually } from './product.js';

/** Seldom enough that a replica which just closes is still sent requests. */
const ASK_READY_MS = 500;
const DRAIN_MS = 20_000;

interface Backend {
  readonly name: string;
  readonly url: string;
  readonly agent: Agent;
  isReady: boolean;
  isRemoved: boolean;
  inFlight: number;
  served: number;
}

/** What stands in front of replicas: takes turns among those that say they are ready, over connections that it keeps, and never tries a request twice. */
export class LoadBalancer {
  /** One line for each request that a replica did not answer. */
  readonly broken: string[] = [];
  private readonly backends = new Map<string, Backend>();
  private readonly server: Server;
  private readonly closing = new AbortController();
  private turn = 0;

  private constructor() {
    this.server = createServer((incoming, outgoing) => { this.pass(incoming, outgoing); });
  }

  static async open(): Promise<LoadBalancer> {
    const balancer = new LoadBalancer();
    balancer.server.listen(0, '127.0.0.1');
    await once(balancer.server, 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  /** Resolves when it is ready. */
  async add(name: string, url: string): Promise<void> {
    const backend: Backend = { name, url, agent: new Agent({ keepAlive: true }), isReady: false, isRemoved: false, inFlight: 0, served: 0 };
    this.backends.set(name, backend);
    void this.watch(backend);
    await eventually(`${name} to be ready`, () => Promise.resolve(backend.isReady));
  }

  /** As a Service takes an endpoint away: it gets nothing new. Resolves when what it had is answered. */
  async remove(name: string): Promise<void> {
    const backend = this.backends.get(name);
    if (!backend) return;
    backend.isRemoved = true;
    await eventually(`${name} to answer what it has`, () => Promise.resolve(backend.inFlight === 0), DRAIN_MS);
  }

  /** Requests that it answered. */
  served(name: string): number {
    return this.backends.get(name)?.served ?? 0;
  }

  close(): void {
    this.closing.abort();
    this.server.closeAllConnections();
    this.server.close();
    for (const { agent } of this.backends.values()) agent.destroy();
  }

  private async watch(backend: Backend): Promise<void> {
    while (!backend.isRemoved && !this.closing.signal.aborted) {
      backend.isReady = await fetch(`${backend.url}/ready`, { signal: AbortSignal.timeout(5_000), headers: { connection: 'close' } }).then(async (response) => { await response.arrayBuffer(); return response.ok; }, () => false);
      await wait(ASK_READY_MS);
    }
  }

  private pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const there = [...this.backends.values()].filter(({ isReady, isRemoved }) => isReady && !isRemoved);
    const backend = there[this.turn++ % Math.max(1, there.length)];
    const what = `${incoming.method ?? ''} ${incoming.url?.split('?')[0] ?? ''}`;
    if (!backend) {
      this.broken.push(`${what}: no replica is ready`);
      outgoing.writeHead(503).end();
      return;
    }
    backend.inFlight++;
    outgoing.once('close', () => { backend.inFlight--; });
    const fail = (error: Error): void => {
      this.broken.push(`${what} at ${backend.name}: ${error.message}`);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end();
    };
    const { connection: _, ...headers } = incoming.headers;
    const onward = request(`${backend.url}${incoming.url ?? ''}`, { method: incoming.method ?? 'GET', headers, agent: backend.agent }, (answer) => {
      const { connection: __, ...given } = answer.headers;
      outgoing.writeHead(answer.statusCode ?? 502, given);
      answer.on('error', fail).pipe(outgoing);
      answer.once('end', () => { backend.served++; });
    });
    onward.on('error', fail);
    incoming.pipe(onward);
  }
}
