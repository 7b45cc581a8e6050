/** IEEE 754 binary16 in 16 bits each, rounded to nearest even, as ONNX Runtime takes half precision where JavaScript has none. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, halfOf);
}

export function fromFloat16(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, singleOf);
}

function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const shifted = exponent - 112;
  if (shifted >= 31) return sign | 0x7c00;
  if (shifted > 0) return sign | rounded((shifted << 23) | fraction, 13);
  // Below the smallest normal number: the hidden bit becomes visible and moves right.
  return shifted < -10 ? sign : sign | rounded(fraction | 0x800000, 14 - shifted);
}

/** Drops `count` low bits; a tie goes to the even neighbour. A carry into the exponent is right: it is the next number. */
function rounded(value: number, count: number): number {
  const kept = value >>> count;
  const rest = value & ((1 << count) - 1);
  const half = 1 << (count - 1);
  return kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0);
}

function singleOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
