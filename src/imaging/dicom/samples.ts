export type PixelArray = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;

interface SampleType {
  bits: number;
  signed: boolean;
  kind: 'integer' | 'float' | 'double';
}

/** Bytes as an array of `count` samples, in the machine's byte order; the bytes are copied. */
export function samplesOf(bytes: Uint8Array, count: number, type: SampleType, littleEndian: boolean): PixelArray {
  const width = type.bits / 8;
  const copy = new Uint8Array(count * width);
  copy.set(bytes.subarray(0, copy.length));
  if (!littleEndian && width > 1) reverseEach(copy, width);
  const { buffer } = copy;
  if (type.kind === 'float') return new Float32Array(buffer);
  if (type.kind === 'double') return new Float64Array(buffer);
  switch (width) {
    case 1:
      return type.signed ? new Int8Array(buffer) : copy;
    case 2:
      return type.signed ? new Int16Array(buffer) : new Uint16Array(buffer);
    default:
      return type.signed ? new Int32Array(buffer) : new Uint32Array(buffer);
  }
}

function reverseEach(bytes: Uint8Array, width: number): void {
  for (let at = 0; at + width <= bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

interface StoredBits {
  bitsAllocated: number;
  bitsStored: number;
  highBit: number;
  signed: boolean;
}

/** Moves the stored bits to the right end, clears what is beside them (overlays, once) and extends the sign. In place. @see PS3.5 §8.1.1 */
export function fitStoredBits(pixels: PixelArray, { bitsAllocated, bitsStored, highBit, signed }: StoredBits): PixelArray {
  if (bitsStored === bitsAllocated) return pixels;
  const left = 32 - 1 - highBit;
  const right = 32 - bitsStored;
  // Two shifts in 32 bits do it all: left until the high bit is the sign, right until the lowest stored bit is bit 0.
  if (signed) for (let i = 0; i < pixels.length; i++) pixels[i] = ((pixels[i] ?? 0) << left) >> right;
  else for (let i = 0; i < pixels.length; i++) pixels[i] = ((pixels[i] ?? 0) << left) >>> right;
  return pixels;
}

/** 1-bit pixels, lowest bit first; `bitOffset` is where the frame begins in its first byte. @see PS3.5 §8.1.1 */
export function bitsOfFrame(bytes: Uint8Array, count: number, bitOffset: number): Uint8Array {
  const out = new Uint8Array(count);
  for (let i = 0, bit = bitOffset; i < count; i++, bit++) out[i] = ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1;
  return out;
}
