/** A source of standard normal numbers. The same seed gives the same numbers, in the order of the calls. */
export interface Noise {
  /** Writes N(0,1) into `out[from … to)`. */
  fill(out: Float32Array, from: number, to: number): void;
}

/**
 * Gaussian noise: a xorshift128 of 32-bit integers, because a run wants tens of millions of numbers and a call through a closure for each
 * would be felt.
 *
 * @param seed  a whole number
 * @see Marsaglia 2003 (Xorshift RNGs), Box and Muller 1958, Steele et al. 2014 (SplitMix, which spreads the seed over the state)
 */
export function gaussianNoise(seed: number): Noise {
  let x = mixed(seed, 1);
  let y = mixed(seed, 2);
  let z = mixed(seed, 3);
  let w = mixed(seed, 4) | 1; // All zeros is the one state that the generator never leaves.
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

function mixed(seed: number, word: number): number {
  let bits = (seed + Math.imul(word, 0x9e3779b9)) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
