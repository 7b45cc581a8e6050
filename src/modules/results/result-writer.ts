import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../kernel/transaction.js';
import { derivedUuidv7 } from '../../kernel/uid.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { outputDigestOf, provenanceStatement } from './provenance/signed-statement.js';
import { StatementSigner } from './provenance/statement-signer.js';
import { ResultWriter, type HeatMap, type NewResult, type PreparedResult } from './results.contract.js';
import { reservedBlobKeys, ResultsStore } from './results.store.js';

/**
 * Stores what a run concluded. The result's id follows from the analysis id. Every try has blobs of its own, reserved as
 * tombstones until the commit: those of a try that crashed or came too late are swept, and never touch a committed result's.
 */
@Injectable()
export class StoredResultWriter extends ResultWriter {
  constructor(
    private readonly blobs: BlobStore,
    private readonly store: ResultsStore,
    private readonly vault: KeyVault,
    private readonly signer: StatementSigner,
  ) {
    super();
  }

  async prepare(result: NewResult): Promise<PreparedResult> {
    const id = derivedUuidv7(result.analysisId, 'result');
    const attempt = randomUUID();
    const keyOf = (what: string): string => `${result.institutionId}/results/${id}/${attempt}-${what}`;
    const heatMapsBlobKey = result.heatMaps.length > 0 ? keyOf('heatmaps') : null;
    const segmentationBlobKey = result.segmentation && keyOf('segmentation');
    await this.store.reserveBlobs(result.institutionId, reservedBlobKeys({ heatMapsBlobKey, segmentationBlobKey }));
    const dataKey = await this.vault.keyOfStudy(result.institutionId, result.studyInstanceUid);
    if (heatMapsBlobKey !== null) await this.blobs.put(heatMapsBlobKey, littleEndian(result.heatMaps), dataKey);
    if (result.segmentation && segmentationBlobKey !== null) await this.blobs.put(segmentationBlobKey, result.segmentation.packed, dataKey);
    return { id, result: await this.signed(id, result), heatMapsBlobKey, segmentationBlobKey };
  }

  private async signed(id: string, result: NewResult): Promise<NewResult> {
    const sign = await this.signer.prepare();
    const outputDigest = outputDigestOf(result);
    const { algorithm, keyId, value } = sign(provenanceStatement({ ...result, id }, result.provenance, outputDigest));
    return { ...result, provenance: { ...result.provenance, signature: { algorithm, keyId, outputDigest, value } } };
  }

  async commit(tx: Transaction, prepared: PreparedResult): Promise<void> {
    await this.store.insert(tx, prepared);
  }
}

/** One behind the other: float32, little endian, row-major `[height, width]`. */
function littleEndian(heatMaps: readonly HeatMap[]): Uint8Array {
  const bytes = new Uint8Array(heatMaps.reduce((total, { width, height }) => total + width * height * 4, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { data, width, height } of heatMaps) for (let i = 0; i < width * height; i++, at += 4) view.setFloat32(at, data[i] ?? 0, true);
  return bytes;
}

/** The other way round: values of a stored heat map, which begins at an offset of its blob. */
export function heatMapValues(blob: Uint8Array, offset: number, count: number): Float32Array {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  return Float32Array.from({ length: count }, (_, i) => view.getFloat32(offset + i * 4, true));
}
