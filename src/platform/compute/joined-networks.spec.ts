import { describe, expect, it } from 'vitest';
import type { Session, Tensor } from '../../imaging/model/session.js';
import { JoinedNetworks } from './joined-networks.js';

/** Doubles every number, and remembers how many images came at once. */
function doubling(): { session: Session; sizes: number[] } {
  const sizes: number[] = [];
  return {
    sizes,
    session: {
      inputNames: ['x'], outputNames: ['y'], provider: 'cpu', inputShapes: { x: ['batch', 2] },
      run: ({ x }) => {
        if (!(x?.data instanceof Float32Array)) throw new Error('no floats');
        sizes.push(x.dims[0] ?? 0);
        if (x.data.includes(-1)) return Promise.reject(new Error('negative'));
        return Promise.resolve({ y: { data: x.data.map((value) => 2 * value), dims: x.dims } });
      },
    },
  };
}
const images = (...values: number[]): Record<string, Tensor> => ({ x: { data: Float32Array.from(values.flatMap((value) => [value, value + 0.5])), dims: [values.length, 2] } });
const numbersOf = async (outputs: Promise<Record<string, Tensor>>): Promise<unknown[]> => [...((await outputs).y?.data ?? [])];

describe('networks that are joined', () => {
  it('take the images of all runs at once and give each its own', async () => {
    const { session, sizes } = doubling();
    const joined = new JoinedNetworks(() => Promise.resolve(session), 3, 8);
    const [a, b, c] = await Promise.all([joined.member('m'), joined.member('m'), joined.member('m')]);
    const outputs = await Promise.all([numbersOf(a.run(images(1))), numbersOf(b.run(images(2, 3))), numbersOf(c.run(images(4)))]);
    expect(outputs).toEqual([[2, 3], [4, 5, 6, 7], [8, 9]]);
    expect(sizes).toEqual([4]);
  });

  it('wait for no run that is over', async () => {
    const { session, sizes } = doubling();
    const joined = new JoinedNetworks(() => Promise.resolve(session), 2, 8);
    const a = await joined.member('m');
    const output = numbersOf(a.run(images(1)));
    joined.leave();
    expect(await output).toEqual([2, 3]);
    expect(await numbersOf(a.run(images(5)))).toEqual([10, 11]);
    expect(sizes).toEqual([1, 1]);
  });

  it('take no more at once than the limit, unless one run brings more', async () => {
    const { session, sizes } = doubling();
    const joined = new JoinedNetworks(() => Promise.resolve(session), 3, 2);
    const members = await Promise.all([joined.member('m'), joined.member('m'), joined.member('m')]);
    await Promise.all(members.map((member, i) => member.run(i === 2 ? images(1, 2, 3) : images(i))));
    expect(sizes).toEqual([2, 3]);
  });

  it('do not join other shapes, and fail only those that shared an inference', async () => {
    const { session, sizes } = doubling();
    const joined = new JoinedNetworks(() => Promise.resolve(session), 3, 8);
    const [a, b, c] = await Promise.all([joined.member('m'), joined.member('m'), joined.member('m')]);
    const outcomes = await Promise.allSettled([a.run(images(-1)), b.run({ x: { data: Float32Array.of(1, 2, 3), dims: [1, 3] } }), c.run(images(2))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    expect(sizes).toEqual([2, 1]);
  });
});
