/** `from` ≤ x < `before`; an end that is missing is open. */
export interface Range<T> {
  from?: T;
  before?: T;
}
