import type { DerivedSource, SourceInstance } from '../../imaging/report/derived.js';
import { throughGate, type GateOutcome } from '../../imaging/report/gate.js';
import { unpackLabels, type PackedSegmentation } from '../../imaging/volume/packed-labels.js';

/** As it travels to a thread: what is large is bytes already, so that handing it over takes no time. */
export interface DeriveInput extends Omit<DerivedSource, 'instances' | 'segmentation'> {
  /** JSON of a `SourceInstance` each, in UTF-8. */
  instances: readonly Uint8Array[];
  segmentation: PackedSegmentation | null;
}

/** Objects of a result that came through the gate, or why there are none. */
export function derive({ instances, segmentation, ...about }: DeriveInput): GateOutcome {
  const decoder = new TextDecoder();
  return throughGate({
    ...about,
    // Made by the caller out of these.
    instances: instances.map((json) => JSON.parse(decoder.decode(json)) as SourceInstance),
    segmentation: segmentation && unpackLabels(segmentation),
  });
}
