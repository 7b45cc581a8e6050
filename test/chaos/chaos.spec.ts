import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';
import { redisIsInstalled } from '../support/redis.js';
import { chaos } from './harness/chaos.js';
import type { Kind } from './harness/house.js';

/** `npm run chaos` sets these. */
const MINUTES = Number(process.env.CHAOS_MINUTES ?? 2);
const STUDIES = Number(process.env.CHAOS_STUDIES ?? Math.max(20, Math.min(500, Math.round(MINUTES * 20))));
const SEED = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const KINDS: readonly Kind[] = process.env.CHAOS_KIND === 'postgres' || process.env.CHAOS_KIND === 'redis' ? [process.env.CHAOS_KIND] : redisIsInstalled() ? ['postgres', 'redis'] : ['postgres'];
const REPORTS = join(ROOT, 'test-results', 'chaos');

describe('an installation to which everything happens', () => {
  it.each(KINDS)('with its queue on %s loses no study, no run and no message, and does none twice', async (kind) => {
    const say = (line: string): void => { console.log(`${new Date().toISOString().slice(11, 19)} ${kind}: ${line}`); };
    const hold = process.env.CHAOS_HOLD === undefined ? {} : { hold: async (told: object) => {
      const file = join(REPORTS, 'holding.json');
      mkdirSync(REPORTS, { recursive: true });
      writeFileSync(file, JSON.stringify(told, null, 2));
      say(`something is not as it should be; holding until ${file} is removed`);
      while (existsSync(file)) await wait(1_000);
    } };
    const report = await chaos({ ...hold, kind, minutes: MINUTES / KINDS.length, studies: Math.ceil(STUDIES / KINDS.length), seed: SEED, say });
    mkdirSync(REPORTS, { recursive: true });
    const { logs, ...told } = report;
    writeFileSync(join(REPORTS, `${kind}.json`), `${JSON.stringify(told, null, 2)}\n`);
    for (const [name, text] of Object.entries(logs)) writeFileSync(join(REPORTS, `${kind}-${name}.log`), text);
    const { judgement, ...counts } = told;
    console.log(JSON.stringify(counts, null, 2));
    expect(Object.fromEntries(Object.entries(judgement).filter(([, found]) => found.length > 0)), `seed ${String(SEED)}`).toEqual({});
    // Of a run that is long enough for all of them.
    if (MINUTES >= 10) expect(Object.entries(report.faults).filter(([, times]) => times === 0)).toEqual([]);
    expect(report.acknowledged).toBeGreaterThan(STUDIES / KINDS.length / 2);
  }, process.env.CHAOS_HOLD === undefined ? MINUTES * 60_000 + 900_000 : 0);
});
