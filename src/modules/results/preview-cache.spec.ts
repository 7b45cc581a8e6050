import { describe, expect, it } from 'vitest';
import { PreviewCache } from './preview-cache.js';

describe('PreviewCache', () => {
  it('draws once for callers that come together or later', async () => {
    const cache = new PreviewCache(100);
    let drawn = 0;
    const draw = (): Promise<Uint8Array> => { drawn++; return Promise.resolve(new Uint8Array(10)); };
    await Promise.all([cache.get('a', draw), cache.get('a', draw)]);
    await cache.get('a', draw);
    expect(drawn).toBe(1);
  });

  it('drops what was not used for longest when it is full', async () => {
    const cache = new PreviewCache(25);
    const drawn: string[] = [];
    const get = (key: string): Promise<Uint8Array> => cache.get(key, () => { drawn.push(key); return Promise.resolve(new Uint8Array(10)); });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await get(key);
    expect(drawn).toEqual(['a', 'b', 'c', 'b']);
  });

  it('tries again after a failure', async () => {
    const cache = new PreviewCache(25);
    await expect(cache.get('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(cache.get('a', () => Promise.resolve(new Uint8Array(1)))).resolves.toHaveLength(1);
  });
});
