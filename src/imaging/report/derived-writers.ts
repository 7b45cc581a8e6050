import { checkSr } from './check-sr.js';
import type { DerivedFault, DerivedObject, DerivedSource } from './derived.js';
import { checkSeg } from './seg-check.js';
import { writeSeg } from './seg.js';
import { writeSr } from './sr.js';

/** Makes one kind of object, and says what is wrong with one that was made. */
export interface DerivedWriter {
  kind: DerivedObject['kind'];
  /**
   * @param seg  of the same result, when it has one
   * @returns null when the result has nothing of this kind
   */
  write(source: DerivedSource, seg: DerivedObject | null): DerivedObject | null;
  /** Nothing when all is well. Reads the bytes as a stranger would. */
  check(bytes: Uint8Array, source: DerivedSource, seg: DerivedObject | null): DerivedFault[];
}

/** In their order: a report names the segmentation. */
export const DERIVED_WRITERS: readonly DerivedWriter[] = [
  { kind: 'seg', write: (source) => writeSeg(source), check: (bytes, source) => checkSeg(bytes, source) },
  { kind: 'sr', write: (source, seg) => writeSr(source, seg, source.predecessors), check: (bytes, source, seg) => checkSr(bytes, source, seg) },
];
