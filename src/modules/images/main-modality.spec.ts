import { describe, expect, it } from 'vitest';
import { mainModality } from './main-modality.js';

describe('the modality that a study is counted under', () => {
  it('is the first that makes images', () => {
    expect(mainModality(['SR', 'CT', 'PT'])).toBe('CT');
    expect(mainModality(['DX'])).toBe('DX');
  });

  it('is `other` for what senders make up, so that there are few', () => {
    expect(mainModality(['ROOM-7', 'SEG'])).toBe('other');
    expect(mainModality([])).toBe('other');
  });
});
