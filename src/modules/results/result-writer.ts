import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { DerivedFault } from '../../imaging/report/derived.js';
import type { Transaction } from '../../kernel/transaction.js';
import { derivedUuidv7 } from '../../kernel/uid.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { DerivedInstances } from '../images/images.contract.js';
import { RESULT_COMPARABLE, type ResultComparable } from './comparison/comparable-event.js';
import { DerivedObjects, type ObjectsSource } from './derived-objects.service.js';
import { faultsOf } from './derived-outcome.js';
import { DeliveriesStore } from './destinations/deliveries.store.js';
import { outputDigestOf, provenanceStatement } from './provenance/signed-statement.js';
import { StatementSigner } from './provenance/statement-signer.js';
import { ResultWriter, type HeatMap, type NewResult, type PreparedResult } from './results.contract.js';
import { reservedBlobKeys, ResultsStore } from './results.store.js';

/**
 * Stores what a run concluded, and withholds what the gate refuses. The result's id follows from the analysis id. Every try has blobs of its own, reserved as
 * tombstones until the commit: those of a try that crashed or came too late are swept, and never touch a committed result's.
 */
@Injectable()
export class StoredResultWriter extends ResultWriter {
  constructor(
    private readonly blobs: BlobStore,
    private readonly store: ResultsStore,
    private readonly vault: KeyVault,
    private readonly objects: DerivedObjects,
    private readonly instances: DerivedInstances,
    private readonly deliveries: DeliveriesStore,
    private readonly signer: StatementSigner,
    private readonly outbox: Outbox,
  ) {
    super();
  }

  async prepare(result: NewResult): Promise<PreparedResult> {
    const id = derivedUuidv7(result.analysisId, 'result');
    const [gate, blobKeys] = await Promise.all([this.objects.make(sourceOf(id, result)), this.putEvidence(id, result)]);
    const objects = gate.kind === 'passed' ? gate.objects : [];
    return {
      id, result: await this.signed(id, result), ...blobKeys,
      objects: objects.map(({ bytes: _, ...names }) => ({ ...names, version: FIRST_VERSION })),
      instances: await this.instances.prepare(result.institutionId, result.studyInstanceUid, objects.map(({ bytes }) => bytes)),
      faults: gate.kind === 'passed' ? [] : gate.faults,
    };
  }

  async commit(tx: Transaction, prepared: PreparedResult): Promise<readonly DerivedFault[]> {
    const { institutionId, studyId, instances: read } = prepared.result;
    const withheld = prepared.faults.length > 0;
    const outcome = withheld ? 'stored' : await this.instances.commit(tx, { institutionId, studyId, unchanged: read.map(({ id }) => id) }, prepared.instances);
    const faults = [...prepared.faults, ...faultsOf(outcome)];
    await this.store.insert(tx, { ...prepared, faults, objects: faults.length > 0 ? [] : prepared.objects });
    if (faults.length > 0) return faults;
    const what = prepared.objects.length > 0 ? (['message', 'objects'] as const) : (['message'] as const);
    await this.deliveries.plan(tx, { what, institutionId, resultId: prepared.id, version: FIRST_VERSION, studyInstanceUid: prepared.result.studyInstanceUid, signed: false });
    if (prepared.result.instances.length > 1) await this.outbox.append(tx, { institutionId, topic: RESULT_COMPARABLE, payload: { institutionId, resultId: prepared.id } satisfies ResultComparable });
    return faults;
  }

  /** Heat maps and label map. */
  private async putEvidence(id: string, result: NewResult): Promise<Pick<PreparedResult, 'heatMapsBlobKey' | 'segmentationBlobKey'>> {
    const attempt = randomUUID();
    const keyOf = (what: string): string => `${result.institutionId}/results/${id}/${attempt}-${what}`;
    const heatMapsBlobKey = result.heatMaps.length > 0 ? keyOf('heatmaps') : null;
    const segmentationBlobKey = result.segmentation && keyOf('segmentation');
    const reserved = reservedBlobKeys({ heatMapsBlobKey, segmentationBlobKey });
    if (reserved.length === 0) return { heatMapsBlobKey, segmentationBlobKey };
    await this.store.reserveBlobs(result.institutionId, reserved);
    const dataKey = await this.vault.keyOfStudy(result.institutionId, result.studyInstanceUid);
    if (heatMapsBlobKey !== null) await this.blobs.put(heatMapsBlobKey, littleEndian(result.heatMaps), dataKey);
    if (result.segmentation && segmentationBlobKey !== null) await this.blobs.put(segmentationBlobKey, result.segmentation.packed, dataKey);
    return { heatMapsBlobKey, segmentationBlobKey };
  }

  private async signed(id: string, result: NewResult): Promise<NewResult> {
    const sign = await this.signer.prepare();
    const outputDigest = outputDigestOf(result);
    const { algorithm, keyId, value } = sign(provenanceStatement({ ...result, id }, result.provenance, outputDigest));
    return { ...result, provenance: { ...result.provenance, signature: { algorithm, keyId, outputDigest, value } } };
  }
}

const FIRST_VERSION = 1;

function sourceOf(resultId: string, { analysisId, analysis, studyInstanceUid, summary, findings, labels, segments, provenance, keyImage, instances, segmentation }: NewResult): ObjectsSource {
  return {
    resultId, analysisId, analysis, studyInstanceUid, version: FIRST_VERSION, createdAt: new Date(), summary, findings, labels, segments, provenance, instances, segmentation,
    keyImage: keyImage && { sopInstanceUid: keyImage.sopInstanceUid, frame: keyImage.frame },
    verifier: null,
  };
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
