import { describe, expect, it } from 'vitest';
import { finiteOutput } from './finite-output.js';

const outputs = (data: Float32Array): Parameters<typeof finiteOutput>[0] => ({ prob: { data, dims: [1, data.length] } });

describe('finiteOutput', () => {
  it.each([NaN, -NaN, Infinity, -Infinity])('refuses %s wherever it stands', (value) => {
    for (const at of [0, 1, 2]) expect(() => finiteOutput(outputs(Float32Array.from([0.5, 0.25, 1].map((one, i) => (i === at ? value : one)))), 'prob', [1, 3])).toThrow(expect.objectContaining({ code: 'model-output-invalid' }) as Error);
  });

  it('takes every other number, of a part of a buffer too', () => {
    const data = Float32Array.from([NaN, 0, -0, 1e-45, 3.4028234e38, -3.4028234e38]).subarray(1);
    expect(finiteOutput(outputs(data), 'prob', [1, 5])).toBe(data);
  });

  it('refuses another shape, another type and what is absent', () => {
    expect(() => finiteOutput(outputs(new Float32Array(3)), 'prob', [3])).toThrow(expect.objectContaining({ code: 'model-output-invalid' }) as Error);
    expect(() => finiteOutput({ prob: { data: new Int32Array(3), dims: [3] } }, 'prob', [3])).toThrow(expect.objectContaining({ code: 'model-output-invalid' }) as Error);
    expect(() => finiteOutput({}, 'prob', [3])).toThrow(expect.objectContaining({ code: 'model-load-failed' }) as Error);
  });
});
