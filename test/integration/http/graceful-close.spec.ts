import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Shutdown } from '../../../src/platform/ops/shutdown.js';
import { openHouse, probe, signIn, type House } from '../users/house.js';

let house: House;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
});
afterAll(() => house.close());

interface Answer {
  status: number;
  connection: string | undefined;
  body: string;
}

/** Over connections that are kept. */
function ask(url: string, agent: Agent, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const body = method === 'POST' ? '{}' : '';
    request(url, { agent, method, headers: { 'authorization': `Bearer ${token}`, 'content-type': 'application/json', 'content-length': body.length } }, (response: IncomingMessage) => {
      let text = '';
      response.on('data', (piece: Buffer) => { text += piece.toString(); });
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, connection: response.headers.connection, body: text }); });
    }).on('error', reject).end(body);
  });
}

/** The next requests at `POST /probe/count` wait until they are let go. */
function holdRequests(): () => void {
  let letGo = (): void => undefined;
  probe.hold = new Promise((resolve) => { letGo = resolve; });
  return letGo;
}

async function atWork(calls: number): Promise<void> {
  while (probe.calls < calls) await wait(10);
}

describe('a process that is told to stop', () => {
  it('says that it is not ready, serves what still comes, and has each connection end with its answer', async () => {
    const { url, app } = await house.neighbour();
    const agent = new Agent({ keepAlive: true });
    expect(await ask(`${url}/ready`, agent)).toMatchObject({ status: 200, connection: 'keep-alive' });
    app.get(Shutdown).begin();
    const ready = await ask(`${url}/ready`, agent);
    expect(ready).toMatchObject({ status: 503, connection: 'close' });
    expect(JSON.parse(ready.body)).toMatchObject({ error: { process: { status: 'down', code: 'shutting-down' } }, info: { database: { status: 'up' } } });
    expect(await ask(`${url}/probe/public`, agent)).toMatchObject({ status: 200, connection: 'close' });
    expect(await ask(`${url}/health`, agent)).toMatchObject({ status: 200 });
    agent.destroy();
    await app.close();
  });

  it('answers what it has begun, takes nothing new, and waits for no idle connection', async () => {
    const { url, app } = await house.neighbour();
    const [idle, busy] = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })];
    await ask(`${url}/probe/public`, idle);
    // As browsers do, in case.
    const unused = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    await once(unused, 'connect');
    const letGo = holdRequests();
    const answer = ask(`${url}/probe/count`, busy, 'POST');
    await atWork(1);
    let closed = false;
    const closing = app.close().then(() => { closed = true; });
    await wait(300);
    expect(closed).toBe(false);
    await expect(ask(`${url}/probe/public`, idle)).rejects.toMatchObject({ code: expect.stringMatching(/ECONNREFUSED|ECONNRESET/) as string });
    letGo();
    expect(await answer).toMatchObject({ status: 202, connection: 'close' });
    const letGoAt = performance.now();
    await closing;
    // Nothing but the answer was waited for; the limits of heads and idle connections are tens of seconds.
    expect(performance.now() - letGoAt).toBeLessThan(10_000);
    for (const agent of [idle, busy]) agent.destroy();
  });

  it('cuts off what hangs beyond the grace', async () => {
    const { url, app } = await house.neighbour({ SHUTDOWN_GRACE_SECONDS: '1' });
    const agent = new Agent({ keepAlive: true });
    const letGo = holdRequests();
    const before = probe.calls;
    const cut = ask(`${url}/probe/count`, agent, 'POST').catch((error: unknown) => error);
    await atWork(before + 1);
    await app.close();
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });
    letGo();
    agent.destroy();
  });
});
