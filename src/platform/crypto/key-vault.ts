import { createHmac, randomBytes } from 'node:crypto';
import { Injectable, Optional } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Metrics } from '../ops/metrics.js';
import { BlindIndex } from './blind-index.js';
import { DataKey, decrypt, encrypt, KEY_BYTES } from './data-key.js';
import { KeyVaultStore, type InstitutionKeyRow, type KeyPurpose, type StudyKeyRow } from './key-vault.store.js';
import { MasterKey } from './master-key.js';

export { DataKey } from './data-key.js';
export { BlindIndex } from './blind-index.js';

/** A key destroyed elsewhere opens things here for at most this long; in the same process not at all. */
const LIFETIME_MS = 30_000;
const CAPACITY = 20_000;
/** Stands where a study's UID stands, for what belongs to an institution and to no study. */
const NO_STUDY = '';

interface OpenedKey {
  id: string;
  bytes: Buffer;
}

/**
 * The keys of the installation: MASTER_KEY wraps the institutions' keys, these wrap the data keys of their studies, which
 * encrypt. Keys lie wrapped in the database and open in memory only. @see docs/decisions/0013-encryption-at-rest.md
 */
@Injectable()
export class KeyVault {
  private readonly byId = new ExpiringCache<DataKey>(LIFETIME_MS, CAPACITY);
  private readonly newest = new ExpiringCache<OpenedKey>(LIFETIME_MS, CAPACITY);
  /** Institutions' keys never change under their id. */
  private readonly institutionKeys = new Map<string, Buffer>();

  constructor(
    private readonly store: KeyVaultStore,
    private readonly masterKey: MasterKey,
    // The command line has none.
    @Optional() metrics?: Metrics,
  ) {
    metrics?.caches.watch('data-key', this.byId.tally, this.newest.tally);
  }

  /** A start with another master key would store new data beside data that it cannot read. @throws AppError `configuration-invalid` */
  async assertMasterKey(): Promise<void> {
    const [foreign] = await this.store.institutionKeysNotUnder(this.masterKey.id, 1);
    if (!foreign) return;
    try {
      this.openInstitutionKey(foreign);
    } catch (cause) {
      throw new AppError('configuration-invalid', { detail: 'MASTER_KEY is not the one that the stored data is encrypted with. Give that one, or give it as MASTER_KEY_PREVIOUS and run `healthvision keys rotate`.', cause });
    }
  }

  /** The data key that a study has now, whoever deleted it a moment ago; the first is made here. */
  async keyOfStudy(institutionId: string, studyInstanceUid: string): Promise<DataKey> {
    const known = await this.keysOfStudies(institutionId, [studyInstanceUid]);
    return known.get(studyInstanceUid) ?? this.firstKeyOfStudy(institutionId, studyInstanceUid);
  }

  /** As `keyOfStudy`, for a study of which no key was known a moment ago. */
  async firstKeyOfStudy(institutionId: string, studyInstanceUid: string): Promise<DataKey> {
    // Asked for anew: after a rotation nothing is to be wrapped by the key before.
    this.newest.forget(cacheKeyOf(institutionId, 'wrap'));
    const wrapping = await this.institutionKey(institutionId, 'wrap');
    const id = uuidv7();
    const row = await this.store.addStudyKey({ id, institutionId, wrapped: encrypt(wrapping.bytes, randomBytes(KEY_BYTES), studyContext(id)), wrappingKeyId: wrapping.id }, studyInstanceUid);
    const key = row && (await this.byId.get(row.id, () => this.found(row)));
    if (!key) throw new AppError('study-deleted', { detail: 'The study was deleted while this arrived.' });
    return key;
  }

  /** The data keys that studies have now, by the UIDs of the studies; those that have none yet are missing. */
  async keysOfStudies(institutionId: string, studyInstanceUids: readonly string[]): Promise<ReadonlyMap<string, DataKey>> {
    const keys = new Map<string, DataKey>();
    for (const [uid, row] of await this.store.studyKeysOf(institutionId, studyInstanceUids)) {
      const key = await this.byId.get(row.id, () => this.found(row));
      if (key) keys.set(uid, key);
    }
    return keys;
  }

  /** For what belongs to an institution and to no study, such as uploads that are not whole. */
  keyOfInstitution(institutionId: string): Promise<DataKey> {
    return this.keyOfStudy(institutionId, NO_STUDY);
  }

  /** @throws AppError `key-destroyed` */
  async keyById(keyId: string): Promise<DataKey> {
    const key = await this.byId.get(keyId, async (id) => this.found((await this.store.studyKeys([id]))[0]));
    if (!key) throw new AppError('key-destroyed');
    return key;
  }

  /** Destroyed ones are missing. */
  async keysById(keyIds: readonly string[]): Promise<ReadonlyMap<string, DataKey>> {
    const wanted = new Set(keyIds);
    const unknown = [...wanted].filter((id) => !this.byId.has(id));
    // One statement for all of them, shared by the look-ups below.
    const loaded = unknown.length === 0 ? Promise.resolve([]) : this.store.studyKeys(unknown);
    const keys = new Map<string, DataKey>();
    for (const id of wanted) {
      const key = await this.byId.get(id, async () => this.found((await loaded).find((row) => row.id === id)));
      if (key) keys.set(id, key);
    }
    return keys;
  }

  async blindIndex(institutionId: string): Promise<BlindIndex> {
    return new BlindIndex((await this.institutionKey(institutionId, 'index')).bytes);
  }

  /** 32 bytes that stay the same for ever, for example for the pseudonyms of a project. */
  async derivedSecret(institutionId: string, purpose: string): Promise<Uint8Array> {
    return createHmac('sha256', (await this.institutionKey(institutionId, 'index')).bytes).update(`derived\0${purpose}`).digest();
  }

  /** Keeps keys from being destroyed before the commit. @throws AppError `study-deleted` when one of them was */
  async hold(tx: Transaction, ...keys: DataKey[]): Promise<void> {
    const ids = new Set(keys.map(({ id }) => id));
    const held = await this.store.hold(tx, [...ids]);
    if (held.size === ids.size) return;
    for (const id of ids) if (!held.has(id)) this.forget(id);
    throw new AppError('study-deleted', { detail: 'The study was deleted while this arrived.' });
  }

  /** Makes everything under these keys unreadable for ever. Call `forget` after the commit. */
  async destroy(tx: Transaction, keyIds: readonly string[]): Promise<void> {
    await this.store.destroy(tx, keyIds);
  }

  /** After a key was destroyed. */
  forget(keyId: string): void {
    this.byId.forget(keyId);
  }

  /** @returns the newest key of an institution; the first is made here */
  private async institutionKey(institutionId: string, purpose: KeyPurpose): Promise<OpenedKey> {
    const key = await this.newest.get(cacheKeyOf(institutionId, purpose), async () => {
      const known = await this.store.newestInstitutionKey(institutionId, purpose);
      if (known) return this.openInstitutionKey(known);
      await this.store.addInstitutionKey(this.newInstitutionKey(institutionId, purpose, 1));
      const made = await this.store.newestInstitutionKey(institutionId, purpose);
      return made && this.openInstitutionKey(made);
    });
    if (!key) throw new AppError('internal', { detail: 'An institution has no key.' });
    return key;
  }

  /** A key that is not stored yet. */
  newInstitutionKey(institutionId: string, purpose: KeyPurpose, version: number): InstitutionKeyRow {
    const id = uuidv7();
    return { id, institutionId, purpose, version, wrapped: this.masterKey.seal(randomBytes(KEY_BYTES), institutionContext(id)), masterKeyId: this.masterKey.id };
  }

  /** @throws AppError `internal` when MASTER_KEY is another than the one that wrapped it */
  openInstitutionKey({ id, wrapped }: InstitutionKeyRow): OpenedKey {
    const bytes = this.institutionKeys.get(id) ?? this.masterKey.open(wrapped, institutionContext(id));
    this.institutionKeys.set(id, bytes);
    return { id, bytes };
  }

  private async found(row: StudyKeyRow | undefined): Promise<DataKey | undefined> {
    return row && new DataKey(row.id, await this.unwrap(row));
  }

  /** The bytes of a study's key. @throws AppError `blob-corrupt`, `internal` */
  async unwrap({ id, wrapped, wrappingKeyId }: StudyKeyRow): Promise<Buffer> {
    let wrapping = this.institutionKeys.get(wrappingKeyId);
    if (!wrapping) {
      const [row] = await this.store.institutionKeys([wrappingKeyId]);
      if (!row) throw new AppError('internal', { detail: 'The key that wraps a data key is missing.' });
      wrapping = this.openInstitutionKey(row).bytes;
    }
    return decrypt(wrapping, wrapped, studyContext(id));
  }
}

function cacheKeyOf(institutionId: string, purpose: KeyPurpose): string {
  return `${institutionId}/${purpose}`;
}

function institutionContext(id: string): string {
  return `institution-keys/${id}`;
}

export function studyContext(id: string): string {
  return `study-keys/${id}`;
}
