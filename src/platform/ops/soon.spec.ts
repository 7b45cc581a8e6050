import { describe, expect, it } from 'vitest';
import { soon } from './soon.js';

describe('what a scrape asks for', () => {
  it('is what comes in time, and undefined for what fails or takes too long', async () => {
    expect(await soon(Promise.resolve(7))).toBe(7);
    expect(await soon(Promise.reject<number>(new Error('away')))).toBeUndefined();
    const never = new Promise<number>(() => { /* hangs */ });
    expect(await soon(never, 5)).toBeUndefined();
  });
});
