import { setTimeout as wait } from 'node:timers/promises';
import { faultsOf, type FaultContext } from './faults.js';
import { openChaosHouse, type ChaosHouse, type Kind } from './house.js';
import { judge, TOLD, untilQuiet, type Judgement } from './judgement.js';
import { Client, sendStudies, type Sent } from './load.js';
import { openReceivers, type ChaosReceivers } from './receivers.js';

export interface ChaosOptions {
  kind: Kind;
  minutes: number;
  studies: number;
  /** Gives the same faults in the same order; what they meet differs. */
  seed: number;
  say: (line: string) => void;
  /** Whoever wants to look at what is wrong while it is: the house stands until it resolves. */
  hold?: (told: Readonly<Record<string, string>>) => Promise<void>;
}

export interface ChaosReport {
  kind: Kind;
  seed: number;
  acknowledged: number;
  refused: number;
  /** How often each befell the installation, where it did. */
  faults: Record<string, number>;
  /** Starts of its processes. */
  starts: Record<string, number>;
  /** What was found out of order and mended, by kind; what processes counted that were killed since is not in it. */
  repairs: Record<string, number>;
  /** Messages that the receiver took, and requests that the bad ones met. */
  messages: number;
  bad: Record<string, number>;
  judgement: Judgement;
  /** What its processes wrote. */
  logs: Record<string, string>;
}

const PAUSES_S = { least: 1, most: 4 };
/** A job that failed often waits for minutes. */
const PATIENCE_MS = 240_000;
const SAMPLE_MS = 1_000;
const REPAIRS = /healthvision_reconciler_repairs_total\{kind="([\w-]+)"\} (\d+)/g;

/** Sends studies to an installation to which everything happens, lets it come to rest, and says what is not as it should be. */
export async function chaos({ kind, minutes, studies, seed, say, hold }: ChaosOptions): Promise<ChaosReport> {
  const random = randomOf(seed);
  const receivers = await openReceivers();
  const house = await openChaosHouse(kind);
  const repairs = new RepairCounts(house);
  try {
    const client = new Client(house);
    const webhookId = await subscribe(client, receivers);
    const sent: Sent = { acknowledged: [], refused: 0 };
    const durationMs = minutes * 60_000;
    const sending = sendStudies(client, studies, durationMs, sent);
    const counts = await befall({ house, receivers, random, outageMs: Math.min(30_000, durationMs / 10) }, durationMs, say, () => sent.acknowledged.length);
    await sending;
    say(`${String(sent.acknowledged.length)} studies are acknowledged; waiting until nothing is under way`);
    await untilQuiet(house, webhookId, PATIENCE_MS);
    const judgement = await judge(house, client, receivers, webhookId, sent);
    if (Object.values(judgement).some((found) => found.length > 0)) await hold?.({ ...house.addresses, webhookId });
    return {
      kind, seed, acknowledged: sent.acknowledged.length, refused: sent.refused, faults: counts,
      starts: Object.fromEntries([...house.apis, ...house.workers].map(({ name, starts }) => [name, starts])),
      logs: Object.fromEntries([...house.apis, ...house.workers].map((slot) => [slot.name, slot.output()])),
      repairs: await repairs.end(), messages: receivers.taken.length, bad: receivers.met(), judgement,
    };
  } finally {
    await repairs.end();
    await house.close();
    receivers.close();
  }
}

async function subscribe(client: Client, { urls }: ChaosReceivers): Promise<string> {
  const make = (url: string): Promise<{ id: string }> => client.json('/api/v1/webhooks', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ url, events: TOLD }) });
  for (const url of Object.values(urls.bad)) await make(url);
  return (await make(urls.good)).id;
}

/** One fault after the other, and now and then two at a time; each before any comes a second time. */
async function befall(context: FaultContext, durationMs: number, say: ChaosOptions['say'], acknowledged: () => number): Promise<Record<string, number>> {
  const faults = faultsOf(context.house);
  const counts: Record<string, number> = Object.fromEntries(Object.keys(faults).map((name) => [name, 0]));
  const lasting = new Map<string, Promise<void>>();
  const until = Date.now() + durationMs;
  let bag: string[] = [];
  while (Date.now() < until) {
    if (bag.length === 0) bag = shuffled(Object.keys(faults), context.random);
    const name = bag.pop() ?? '';
    // What lasts is not begun twice, and no more than two last at a time.
    await lasting.get(name);
    while (lasting.size >= 2) await Promise.race(lasting.values());
    say(`${name} (${String(acknowledged())} studies acknowledged)`);
    const fault = faults[name]?.(context).then(() => { counts[name] = (counts[name] ?? 0) + 1; }).catch((error: unknown) => { say(`${name}: ${error instanceof Error ? error.message : String(error)}`); }).finally(() => { lasting.delete(name); });
    if (fault) lasting.set(name, fault);
    await wait((PAUSES_S.least + context.random() * (PAUSES_S.most - PAUSES_S.least)) * 1_000);
  }
  await Promise.all(lasting.values());
  return counts;
}

/** Asks each process again and again, since what it counted ends with it. */
class RepairCounts {
  private readonly latest = new Map<string, Record<string, number>>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly house: ChaosHouse) {
    this.timer = setInterval(() => { void this.look(); }, SAMPLE_MS);
  }

  async end(): Promise<Record<string, number>> {
    clearInterval(this.timer);
    await this.look();
    const sums: Record<string, number> = {};
    for (const counts of this.latest.values()) for (const [kind, count] of Object.entries(counts)) sums[kind] = (sums[kind] ?? 0) + count;
    return sums;
  }

  private async look(): Promise<void> {
    await Promise.all([...this.house.apis, ...this.house.workers].map(async ({ name, starts, product }) => {
      const text = product && (await fetch(`${product.url}/metrics`, { signal: AbortSignal.timeout(SAMPLE_MS) }).then((response) => response.text()).catch(() => undefined));
      if (text !== undefined) this.latest.set(`${name}/${String(starts)}`, Object.fromEntries([...text.matchAll(REPAIRS)].map(([, kind = '', count]) => [kind, Number(count)])));
    }));
  }
}

function shuffled(names: readonly string[], random: () => number): string[] {
  return names.map((name) => ({ name, place: random() })).sort((a, b) => a.place - b.place).map(({ name }) => name);
}

/** Numbers in [0, 1) of a linear congruential generator. @see Numerical Recipes, 7.1 */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
