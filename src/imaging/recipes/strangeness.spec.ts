import { describe, expect, it } from 'vitest';
import { strangenessMeter } from './strangeness.js';

const outputs = (...data: number[]) => ({ strangeness: { data: Float32Array.from(data), dims: [data.length, 1] } });
const rule = { output: 'strangeness', threshold: 2 };

describe('how strange an input is', () => {
  it('is the median over its windows, without what fills up a batch', () => {
    const meter = strangenessMeter(rule);
    meter.take(outputs(1, 9), 2);
    meter.take(outputs(3, 100), 2, 1); // three windows
    expect(meter.verdict()).toEqual({ score: 3, threshold: 2, strange: true });
  });

  it('lies between the two in the middle of an even number of windows', () => {
    const meter = strangenessMeter(rule);
    meter.take(outputs(8, 1, 2, 4), 4);
    expect(meter.verdict()?.score).toBe(3);
  });

  it('is nothing to speak of up to the threshold', () => {
    const meter = strangenessMeter(rule);
    meter.take(outputs(2), 1);
    expect(meter.verdict()).toEqual({ score: 2, threshold: 2, strange: false });
  });

  it('is unknown where the model does not say, and where nothing was looked at', () => {
    const silent = strangenessMeter(undefined);
    silent.take({}, 1);
    expect(silent.verdict()).toBeUndefined();
    expect(strangenessMeter(rule).verdict()).toBeUndefined();
  });

  it.each([
    ['is not there', {}, 'model-load-failed'], ['has another shape', { strangeness: { data: Float32Array.of(1, 2), dims: [1, 2] } }, 'model-output-invalid'],
    ['is not finite', outputs(NaN), 'model-output-invalid'],
  ])('is refused where the output %s', (_, given, code) => {
    expect(() => { strangenessMeter(rule).take(given, 1); }).toThrow(expect.objectContaining({ code }) as Error);
  });
});
