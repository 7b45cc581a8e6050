/** A view of a typed array by several indices, as npm `ndarray` has it; as much of it as OHIF asks of one. */
export interface ArrayView {
  data: ArrayLike<number>;
  shape: number[];
  stride: number[];
  offset: number;
  dtype: string;
  dimension: number;
  readonly size: number;
  index(...at: number[]): number;
  get(...at: number[]): number;
  /** The value comes last. @returns it */
  set(...atAndValue: number[]): number;
}

/**
 * Stands where `ndarray` compiles a class for each number of indices out of text, which our policy for pages forbids; without it OHIF
 * opens no SEG. Its text is put into OHIF's files, so it may use nothing from outside itself.
 */
function compileConstructor(dtype: string, dimension: number): (data: number[], shape: number[], stride: number[], offset: number) => ArrayView {
  return (data, shape, stride, offset) => ({
    data, shape, stride, offset, dtype, dimension,
    get size() { return this.shape.reduce((product, length) => product * length, 1); },
    index(...at) {
      let place = this.offset;
      for (let axis = 0; axis < this.stride.length; axis++) place += (this.stride[axis] ?? 0) * (at[axis] ?? 0);
      return place;
    },
    get(...at) { return data[this.index(...at)] ?? NaN; },
    set(...at) { return (data[this.index(...at)] = at[this.stride.length] ?? NaN); },
  });
}

const OPENING = 'function compileConstructor(dtype, dimension) {';

/** What becomes of the place where `ndarray` is in a file: its own function stays, under a name that nobody calls. */
export const WITHOUT_COMPILER: readonly [from: string, to: string] = [OPENING, `${compileConstructor.toString()}\n${OPENING.replace('compileConstructor', 'compileConstructorOutOfText')}`];
