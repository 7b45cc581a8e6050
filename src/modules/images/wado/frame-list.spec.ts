import { describe, expect, it } from 'vitest';
import { frameList } from './frame-list.js';

describe('A list of frames', () => {
  it('is numbers from 1 in any order', () => {
    expect(frameList('1')).toEqual([1]);
    expect(frameList('3, 1,3')).toEqual([3, 1, 3]);
  });

  it('is nothing else', () => {
    for (const text of ['', '0', '1,', '-1', '1-3', 'a', '1.5', '9999999999', Array(6000).fill('1').join(',')]) expect(() => frameList(text), text.slice(0, 20)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});
