export type Vector3 = readonly [number, number, number];
export type Vector4 = readonly [number, number, number, number];

/** Three rows [xi, xj, xk, t]: index (i, j, k) = (column, row, slice) → LPS millimetres. @see PS3.3 C.7.6.2.1.1 */
export type Affine = readonly [Vector4, Vector4, Vector4];

/** Where voxels lie in the patient. */
export interface Grid {
  /** Columns, rows, slices. */
  size: Vector3;
  affine: Affine;
  frameOfReferenceUid?: string;
}

export type Voxels = Int16Array | Float32Array | Uint8Array;

/** Voxels on a grid, row-major `[z, y, x]`: the offset of (i, j, k) is i + columns × (j + rows × k). */
export interface Volume<V extends Voxels = Int16Array | Float32Array> extends Grid {
  voxels: V;
}
