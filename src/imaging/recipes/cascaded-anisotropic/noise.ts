/** A source of standard normal numbers. The same seed gives the same numbers, in the order of the calls. */
export interface Noise {
  /** Writes N(0,1) into `out[from … to)`. */
  fill(out: Float32Array, from: number, to: number): void;
}

/**
 * Gaussian noise from a seeded generator: four draws of `random` seed a xorshift128 of 32-bit integers, because a run wants tens of
 * millions of numbers and a call through a closure for each would be felt.
 *
 * @param random  uniform in [0, 1)
 * @see Marsaglia 2003 (Xorshift RNGs), Box and Muller 1958
 */
export function gaussianNoise(random: () => number): Noise {
  let x = seedWord(random);
  let y = seedWord(random);
  let z = seedWord(random);
  let w = seedWord(random) | 1; // All zeros is the one state that the generator never leaves.
  return {
    fill(out, from, to) {
      for (let i = from; i < to; i += 2) {
        let t = x ^ (x << 11);
        x = y; y = z; z = w;
        w = w ^ (w >>> 19) ^ (t ^ (t >>> 8));
        // In (0, 1]: the logarithm of zero is never asked for.
        const radius = Math.sqrt(-2 * Math.log(((w >>> 0) + 1) / 4294967296));
        t = x ^ (x << 11);
        x = y; y = z; z = w;
        w = w ^ (w >>> 19) ^ (t ^ (t >>> 8));
        const angle = (w >>> 0) * (2 * Math.PI / 4294967296);
        out[i] = radius * Math.cos(angle);
        if (i + 1 < to) out[i + 1] = radius * Math.sin(angle);
      }
    },
  };
}

function seedWord(random: () => number): number {
  return Math.floor(random() * 4294967296) | 0;
}
