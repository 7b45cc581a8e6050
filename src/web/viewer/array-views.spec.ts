import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { WITHOUT_COMPILER, type ArrayView } from './array-views.js';

type Make = (data: Uint8Array, shape?: number[], stride?: number[], offset?: number) => ArrayView;

const path = createRequire(import.meta.url).resolve('ndarray');
const source = readFileSync(path, 'utf8');
/** The package, as it is or with our function in it, where no text may become code. */
function load(text: string): Make {
  const module: { exports?: Make } = {};
  runInNewContext(text, { module, require: createRequire(path), Uint8Array }, { contextCodeGeneration: { strings: false, wasm: true } });
  if (!module.exports) throw new Error('nothing was exported');
  return module.exports;
}

describe('Views of arrays without a compiler', () => {
  const ours = load(source.replace(...WITHOUT_COMPILER));
  const theirs = createRequire(import.meta.url)('ndarray') as Make;
  const VIEWS: [number[], number[]?, number?][] = [[[12]], [[3, 4]], [[4, 3], [1, 4]], [[2, 3, 2]], [[3, 4], [-4, 1]], [[2, 2], [4, 2], 3]];

  it('stand in the package, which is refused otherwise', () => {
    expect(source.split(WITHOUT_COMPILER[0])).toHaveLength(2);
    expect(() => load(source)(new Uint8Array(4))).toThrow(/Code generation/);
  });

  it.each(VIEWS)('read and write as those of the package do: %j %j', (...[shape, stride, offset]) => {
    const [a, b] = [ours, theirs].map((make) => make(Uint8Array.from({ length: 12 }, (_, at) => at * 3), shape, stride, offset)) as [ArrayView, ArrayView];
    for (const property of ['shape', 'stride', 'offset', 'dtype', 'dimension', 'size'] as const) expect(a[property], property).toEqual(b[property]);
    const last = shape.map((length) => length - 1);
    for (const at of [shape.map(() => 0), last, shape.map(() => 1)]) {
      expect(a.get(...at)).toBe(b.get(...at));
      expect(a.index(...at)).toBe(b.index(...at));
    }
    expect(a.set(...last, 7)).toBe(b.set(...last, 7));
    expect([...Array.from(a.data)]).toEqual([...Array.from(b.data)]);
  });
});
