import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CallerCheck } from './caller-check.js';
import type { FoundCaller } from './dimse-callers.store.js';

const HOUSE = '0198c0de-0000-7000-8000-000000000000';
const caller: FoundCaller = { id: HOUSE, institutionId: HOUSE, aeTitle: 'CT_1', addresses: ['10.0.0.0/8'], description: null, createdAt: new Date(), updatedAt: new Date(), institutionState: 'active' };
const titles = { callingAeTitle: 'CT_1', calledAeTitle: 'US' };

describe('A caller', () => {
  let known: FoundCaller | undefined;
  let asked: string[];
  const check = (address = '10.1.2.3'): CallerCheck => new CallerCheck('US', address, (aeTitle) => {
    asked.push(aeTitle);
    return Promise.resolve(known?.aeTitle === aeTitle ? known : undefined);
  });

  beforeEach(() => {
    known = caller;
    asked = [];
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => { vi.useRealTimers(); });

  it('is admitted under its title, from its address, to ours', async () => {
    expect(await check().admit(titles)).toBeUndefined();
    expect(await check().admit({ ...titles, calledAeTitle: 'THEM' })).toBe('called-ae-unknown');
    expect(await check().admit({ ...titles, callingAeTitle: 'CT_2' })).toBe('calling-ae-unknown');
    expect(await check('192.0.2.1').admit(titles)).toBe('address-not-allowed');
  });

  it('is not admitted while its institution is suspended', async () => {
    known = { ...caller, institutionState: 'suspended' };
    expect(await check().admit(titles)).toBe('institution-suspended');
    // Who does not come from its address learns nothing of that.
    expect(await check('192.0.2.1').admit(titles)).toBe('address-not-allowed');
  });

  it('has a title that the database can be asked for', async () => {
    for (const callingAeTitle of ['', 'CT\0_1', 'CT\n1', 'CT\\1', 'CT_é', 'SEVENTEEN_LETTERS']) expect(await check().admit({ ...titles, callingAeTitle })).toBe('calling-ae-unknown');
    expect(asked).toEqual([]);
  });

  it('is asked for again every few seconds', async () => {
    const stays = check();
    await stays.admit(titles);
    expect(await stays.institutionId()).toBe(HOUSE);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(6_000);
    expect(await stays.institutionId()).toBe(HOUSE);
    expect(asked).toHaveLength(2);
    for (const now of [undefined, { ...caller, institutionId: '0198c0de-0000-7000-8000-000000000001' }, { ...caller, addresses: ['192.0.2.0/24'] }, { ...caller, institutionState: 'suspended' }]) {
      known = now;
      vi.advanceTimersByTime(6_000);
      await expect(stays.institutionId()).rejects.toMatchObject({ code: 'forbidden' });
    }
    await expect(check().institutionId()).rejects.toMatchObject({ code: 'forbidden' });
  });
});
