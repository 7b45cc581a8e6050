import { describe, expect, it } from 'vitest';
import { strangeShare, strangeText } from './strange-share.js';

const verdict = (score: number) => ({ score, threshold: 4, strange: score > 4 });

describe('the share of strange inputs', () => {
  it('has an interval, and the scores that it was counted from', () => {
    const share = strangeShare([verdict(5), verdict(1), undefined, verdict(4), verdict(2)]);
    expect(share).toMatchObject({ strange: 1, of: 4, threshold: 4, scores: [5, 1, 4, 2], share: { value: 0.25 } });
    expect(share && strangeText(share)).toMatch(/^1 of 4 inputs are strange to the model \(25\.0 % \[4\.6, 69\.9\]\)$/);
  });

  it('is unknown of a model that does not tell', () => {
    expect(strangeShare([undefined, undefined])).toBeNull();
    expect(strangeShare([])).toBeNull();
  });
});
