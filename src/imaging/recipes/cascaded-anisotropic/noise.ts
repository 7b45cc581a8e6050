/** A source of standard normal numbers. The same seed gives the same numbers, in the order of the calls. */
export interface Noise {
  /** Writes N(0,1) into `out[from … to)`. */
  fill(out: Float32Array, from: number, to: number): void;
}

/** The ziggurat: 128 layers of one area under the density; `EDGE` is where the tail begins. */
const LAYERS = 128;
const EDGE = 3.442619855899;
const AREA = 9.91256303526217e-3;
const FULL = 2147483648;
const { inside, width, density } = layers();

/**
 * Gaussian noise by the ziggurat over a xorshift128: a run wants tens of millions of numbers, and a call or a logarithm for each would be
 * felt.
 *
 * @param seed  a whole number
 * @see Marsaglia and Tsang 2000 (ziggurat), Marsaglia 2003 (xorshift RNGs), Steele et al. 2014 (SplitMix, which spreads the seed)
 */
export function gaussianNoise(seed: number): Noise {
  let x = mixed(seed, 1);
  let y = mixed(seed, 2);
  let z = mixed(seed, 3);
  let w = mixed(seed, 4) | 1; // All zeros is the one state that the generator never leaves.
  const next = (): number => {
    const t = x ^ (x << 11);
    x = y; y = z; z = w;
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return w;
  };
  /** In (0, 1): its logarithm is finite. */
  const uniform = (): number => ((next() >>> 0) + 0.5) / 4294967296;
  /** For a number outside of its layer's core: one in a hundred. */
  const rare = (first: number): number => {
    for (let bits = first; ; bits = next()) {
      const layer = bits & (LAYERS - 1);
      const value = bits * (width[layer] ?? 0);
      if (Math.abs(bits) < (inside[layer] ?? 0)) return value;
      if (layer === 0) return bits > 0 ? tail() : -tail();
      const [low, high] = [density[layer] ?? 0, density[layer - 1] ?? 0];
      if (low + uniform() * (high - low) < Math.exp(-0.5 * value * value)) return value;
    }
  };
  const tail = (): number => {
    for (;;) {
      const beyond = -Math.log(uniform()) / EDGE;
      if (-2 * Math.log(uniform()) >= beyond * beyond) return EDGE + beyond;
    }
  };
  return {
    fill(out, from, to) {
      // The generator by hand on local numbers: three times as quick as calls of `next`.
      let [a, b, c, d] = [x, y, z, w];
      for (let i = from; i < to; i++) {
        const t = a ^ (a << 11);
        a = b; b = c; c = d;
        d = d ^ (d >>> 19) ^ t ^ (t >>> 8);
        const layer = d & (LAYERS - 1);
        if (Math.abs(d) < (inside[layer] ?? 0)) {
          out[i] = d * (width[layer] ?? 0);
          continue;
        }
        x = a; y = b; z = c; w = d;
        out[i] = rare(d);
        a = x; b = y; c = z; d = w;
      }
      x = a; y = b; z = c; w = d;
    },
  };
}

function layers(): { inside: Float64Array; width: Float64Array; density: Float64Array } {
  const inside = new Float64Array(LAYERS);
  const width = new Float64Array(LAYERS);
  const density = new Float64Array(LAYERS);
  const at = (edge: number): number => Math.exp(-0.5 * edge * edge);
  const bottom = AREA / at(EDGE);
  inside[0] = (EDGE / bottom) * FULL;
  width[0] = bottom / FULL;
  density[0] = 1;
  width[LAYERS - 1] = EDGE / FULL;
  density[LAYERS - 1] = at(EDGE);
  for (let layer = LAYERS - 2, edge = EDGE; layer >= 1; layer--) {
    const above = Math.sqrt(-2 * Math.log(AREA / edge + at(edge)));
    inside[layer + 1] = (above / edge) * FULL;
    width[layer] = above / FULL;
    density[layer] = at(above);
    edge = above;
  }
  return { inside, width, density };
}

function mixed(seed: number, word: number): number {
  let bits = (seed + Math.imul(word, 0x9e3779b9)) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
