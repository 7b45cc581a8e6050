import { Injectable } from '@nestjs/common';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { DerivedSource, SourceInstance } from '../../imaging/report/derived.js';
import type { GateOutcome } from '../../imaging/report/gate.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import { AppError } from '../../kernel/errors.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';

/** What objects are made from, with the label map as it is stored. */
export interface ObjectsSource extends Omit<DerivedSource, 'segmentation'> {
  segmentation: PackedSegmentation | null;
}

/** Making JSON of an instance takes a fraction of a millisecond; in between others get their turn. */
const PACKED_AT_ONCE = 32;
/** A large label map is written, read back and measured in seconds. */
const TIMEOUT_MS = 300_000;
/** While others keep the threads busy. A run that was computed is not given up for that. */
const WAITS_MS = [100, 400, 1_600, 6_400];

/** Makes SEG and SR of a result in a thread, and puts them through the gate there. */
@Injectable()
export class DerivedObjects {
  constructor(private readonly threads: ImagingThreads) {}

  /** @throws AppError `overloaded`, `processing-timeout`, `thread-lost` */
  async make({ instances, ...about }: ObjectsSource): Promise<GateOutcome> {
    for (let tries = 0; ; tries++) {
      const packed = await packedInstances(instances);
      try {
        return await this.threads.derive({ ...about, instances: packed }, { timeoutMs: TIMEOUT_MS, transfer: packed.map(({ buffer }) => buffer) });
      } catch (error) {
        const waitMs = WAITS_MS[tries];
        if (!(error instanceof AppError) || error.code !== 'overloaded' || waitMs === undefined) throw error;
        await sleep(waitMs);
      }
    }
  }
}

/** Hundreds of headers as objects would be cloned on the event loop; as bytes they move. */
async function packedInstances(instances: readonly SourceInstance[]): Promise<Uint8Array<ArrayBuffer>[]> {
  const encoder = new TextEncoder();
  const packed: Uint8Array<ArrayBuffer>[] = [];
  for (const [index, { sopInstanceUid, sopClassUid, seriesInstanceUid, attributes }] of instances.entries()) {
    if (index % PACKED_AT_ONCE === PACKED_AT_ONCE - 1) await setImmediate();
    packed.push(encoder.encode(JSON.stringify({ sopInstanceUid, sopClassUid, seriesInstanceUid, attributes } satisfies SourceInstance)));
  }
  return packed;
}
