import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskGuard } from './disk-guard.js';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

/** A guard with a reserve of 1000 bytes over a disk that a test can fill and break. */
function guarded(): { guard: DiskGuard; disk: { blocks: number; broken: boolean; asked: number } } {
  const disk = { blocks: 10, broken: false, asked: 0 };
  const guard = new DiskGuard('/data', 1000, (folder) => {
    expect(folder).toBe('/data');
    disk.asked++;
    return disk.broken ? Promise.reject(new Error('EIO')) : Promise.resolve({ bsize: 512, bavail: disk.blocks, bfree: disk.blocks + 5, blocks: 100 });
  });
  return { guard, disk };
}

describe('DiskGuard', () => {
  it('lets in until no more than the reserve is left, and again when there is room', async () => {
    const { guard, disk } = guarded();
    await guard.assertRoom();
    expect(await guard.room()).toEqual({ freeBytes: 10 * 512, sizeBytes: 95 * 512 });
    disk.blocks = 1;
    vi.advanceTimersByTime(1_001);
    await expect(guard.assertRoom()).rejects.toMatchObject({ code: 'storage-full', status: 507 });
    disk.blocks = 2;
    vi.advanceTimersByTime(1_001);
    await guard.assertRoom();
  });

  it('asks the file system once a second at most, however many ask', async () => {
    const { guard, disk } = guarded();
    await Promise.all(Array.from({ length: 50 }, () => guard.assertRoom()));
    vi.advanceTimersByTime(900);
    await guard.assertRoom();
    expect(disk.asked).toBe(1);
    vi.advanceTimersByTime(200);
    await guard.assertRoom();
    expect(disk.asked).toBe(2);
  });

  it('keeps no failure', async () => {
    const { guard, disk } = guarded();
    disk.broken = true;
    await expect(guard.assertRoom()).rejects.toMatchObject({ code: 'storage-unavailable' });
    disk.broken = false;
    await guard.assertRoom();
  });
});
