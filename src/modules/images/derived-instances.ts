import { Injectable } from '@nestjs/common';
import { parseInstanceBytes, type ParsedInstance } from '../../imaging/dicom/header.js';
import type { Transaction } from '../../kernel/transaction.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { blobKeyOf } from './blob-key.js';
import { DerivedInstancesStore } from './derived-instances.store.js';
import { DerivedInstances, type DerivedOutcome, type InstanceObject, type PreparedInstances, type StudyPart } from './images.contract.js';
import { instanceRecord, type InstanceRecord } from './instance-record.js';
import { TombstonesStore } from './tombstones.store.js';

interface Prepared extends PreparedInstances {
  keyId: string;
  records: readonly InstanceRecord[];
}

/** Puts what we make of a study beside what it was made from. As with every instance, the bytes come first, reserved until their rows are there. */
@Injectable()
export class StoredDerivedInstances extends DerivedInstances {
  constructor(
    private readonly store: DerivedInstancesStore,
    private readonly tombstones: TombstonesStore,
    private readonly vault: KeyVault,
    private readonly blobs: BlobStore,
  ) {
    super();
  }

  async prepare(institutionId: string, studyInstanceUid: string, objects: readonly Uint8Array[]): Promise<PreparedInstances> {
    const staged = objects.map((bytes) => ({ bytes, parsed: parsedOf(bytes, studyInstanceUid), blobKey: blobKeyOf(institutionId, studyInstanceUid) }));
    const [key] = await Promise.all([
      this.vault.keyOfStudy(institutionId, studyInstanceUid),
      staged.length === 0 ? undefined : this.tombstones.reserve(institutionId, staged.map(({ blobKey }) => blobKey)),
    ]);
    const records: InstanceRecord[] = [];
    for (const { bytes, parsed, blobKey } of staged) {
      const digest = await this.blobs.put(blobKey, bytes, key);
      records.push(instanceRecord(parsed, { institutionId, key, blobKey, derived: true, ...digest }));
    }
    const prepared: Prepared = { sopInstanceUids: records.map(({ sopInstanceUid }) => sopInstanceUid), keyId: key.id, records };
    return prepared;
  }

  commit(tx: Transaction, part: StudyPart, prepared: PreparedInstances): Promise<DerivedOutcome> {
    // `prepare` above is the only maker.
    const { keyId, records } = prepared as Prepared;
    return this.store.insert(tx, part, keyId, records);
  }

  remove(tx: Transaction, institutionId: string, sopInstanceUids: readonly string[]): Promise<void> {
    return this.store.remove(tx, institutionId, sopInstanceUids);
  }

  find(institutionId: string, sopInstanceUid: string): Promise<InstanceObject | undefined> {
    return this.store.find(institutionId, sopInstanceUid);
  }
}

/** Made by us, so what is wrong with it is a defect of ours. */
function parsedOf(bytes: Uint8Array, studyInstanceUid: string): ParsedInstance {
  const parsed = parseInstanceBytes(bytes);
  if (parsed.studyInstanceUid !== studyInstanceUid) throw new Error('a derived instance belongs to another study than the one it was made from');
  return parsed;
}
