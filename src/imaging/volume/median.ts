/** The middle one by size, the upper of two; undefined of none. */
export function median(values: ArrayLike<number>): number | undefined {
  return Float64Array.from(values).sort()[values.length >> 1];
}
