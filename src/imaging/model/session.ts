/** Numbers with a shape, row-major. 16-bit floats are Float32Array here; the adapter converts. */
export interface Tensor {
  data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
  dims: readonly number[];
}

/** A loaded network: the port that `platform/compute` implements with ONNX Runtime. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** The execution provider that was asked for and took the model: `cpu`, `cuda`, … */
  readonly provider: string;
  /** Declared shapes by input name; a string stands for a free dimension. */
  readonly inputShapes: Readonly<Record<string, readonly (number | string)[]>>;
  /**
   * One inference.
   * @throws AppError `model-load-failed` when the network refuses the shapes, `out-of-memory`
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
}
