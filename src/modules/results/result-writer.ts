import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../kernel/transaction.js';
import { derivedUuidv7 } from '../../kernel/uid.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { ResultWriter, type HeatMap, type NewResult, type PreparedResult } from './results.contract.js';
import { ResultsStore } from './results.store.js';

/**
 * Stores what a run concluded. The result's id follows from the analysis id. Every try has heat maps of its own, reserved as
 * tombstones until the commit: those of a try that crashed or came too late are swept, and never touch a committed result's.
 */
@Injectable()
export class StoredResultWriter extends ResultWriter {
  constructor(
    private readonly blobs: BlobStore,
    private readonly store: ResultsStore,
    private readonly vault: KeyVault,
  ) {
    super();
  }

  async prepare(result: NewResult): Promise<PreparedResult> {
    const id = derivedUuidv7(result.analysisId, 'result');
    const attempt = randomUUID();
    const heatMapBlobKeys = result.heatMaps.map((_, index) => `${result.institutionId}/results/${id}/${attempt}-heatmap-${String(index)}`);
    const segmentationBlobKey = result.segmentation && `${result.institutionId}/results/${id}/${attempt}-segmentation`;
    await this.store.reserveBlobs(result.institutionId, [...heatMapBlobKeys, ...(segmentationBlobKey === null ? [] : [segmentationBlobKey])]);
    const dataKey = await this.vault.keyOfStudy(result.institutionId, result.studyInstanceUid);
    for (const [index, key] of heatMapBlobKeys.entries()) {
      const map = result.heatMaps[index];
      if (map) await this.blobs.put(key, littleEndian(map), dataKey);
    }
    if (result.segmentation && segmentationBlobKey !== null) await this.blobs.put(segmentationBlobKey, result.segmentation.packed, dataKey);
    return { id, result, heatMapBlobKeys, segmentationBlobKey };
  }

  async commit(tx: Transaction, prepared: PreparedResult): Promise<void> {
    await this.store.insert(tx, prepared);
  }
}

/** Float32, little endian, row-major `[height, width]`. */
function littleEndian({ data, width, height }: HeatMap): Uint8Array {
  const bytes = new Uint8Array(width * height * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < width * height; i++) view.setFloat32(i * 4, data[i] ?? 0, true);
  return bytes;
}

/** The other way round: values of a stored heat map. */
export function heatMapValues(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength >> 2 }, (_, i) => view.getFloat32(i * 4, true));
}
