import { describe, expect, it } from 'vitest';
import { ExpiringCache } from './expiring-cache.js';

function setUp(capacity = 10): { cache: ExpiringCache<string>; clock: { now: number }; loads: string[]; load: (key: string) => Promise<string | undefined> } {
  const clock = { now: 0 };
  const loads: string[] = [];
  return { cache: new ExpiringCache<string>(100, capacity, () => clock.now), clock, loads, load: (key) => { loads.push(key); return Promise.resolve(key === 'absent' ? undefined : `${key} ${String(loads.length)}`); } };
}

describe('an expiring cache', () => {
  it('loads once while a value is fresh, and again after', async () => {
    const { cache, clock, load } = setUp();
    expect([await cache.get('a', load), await cache.get('a', load)]).toEqual(['a 1', 'a 1']);
    clock.now = 99;
    expect(await cache.get('a', load)).toBe('a 1');
    clock.now = 100;
    expect(await cache.get('a', load)).toBe('a 2');
  });

  it('shares a load among those who come during it', async () => {
    const { cache, loads, load } = setUp();
    await Promise.all([cache.get('a', load), cache.get('a', load), cache.get('a', load)]);
    expect(loads).toEqual(['a']);
  });

  it('keeps neither absences nor failures', async () => {
    const { cache, loads, load } = setUp();
    expect([await cache.get('absent', load), await cache.get('absent', load)]).toEqual([undefined, undefined]);
    expect(loads).toHaveLength(2);
    await expect(cache.get('b', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await cache.get('b', load)).toBe('b 3');
  });

  it('forgets on request, also what is still being loaded', async () => {
    const { cache, load } = setUp();
    let finish: (value: string) => void = () => undefined;
    const slow = cache.get('a', () => new Promise<string>((resolve) => { finish = resolve; }));
    cache.forget('a');
    finish('old');
    expect(await slow).toBe('old');
    expect(await cache.get('a', load)).toBe('a 1');
    cache.clear();
    expect(await cache.get('a', load)).toBe('a 2');
  });

  it('drops the oldest beyond its capacity', async () => {
    const { cache, loads, load } = setUp(2);
    for (const key of ['a', 'b', 'c', 'b', 'a']) await cache.get(key, load);
    expect(loads).toEqual(['a', 'b', 'c', 'a']);
  });
});
