import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { AppError } from '../../kernel/errors.js';
import type { BlindIndex, DataKey } from '../../platform/crypto/key-vault.js';
import { filledIn } from './attribute-levels.js';
import type { InstanceRecord } from './instance-record.js';
import { studyTokens, type StudyTokens } from './qido/search-tokens.js';
import { openJson, sealContext } from './sealed-json.js';

/** Of one study, unless said otherwise. */
export type Records = readonly [InstanceRecord, ...InstanceRecord[]];

/** A study's row as far as it says who it is of. */
export interface StudyRow {
  id: string;
  study_instance_uid: string;
  key_id: string;
  sealed: Uint8Array;
  patient_id: string | null;
}

/** What a study's row is to say of patient and study, and what it is found by. */
export interface Description {
  attributes: DicomJson;
  tokens: StudyTokens;
}

/** What these records say of a study, the first one first. */
export function described(records: Records, index: BlindIndex): Description {
  const [{ study }] = records;
  const attributes = records.reduce<DicomJson>((known, { study: { attributes: more } }) => filledIn(known, more) ?? known, study.attributes);
  return { attributes, tokens: studyTokens(index, attributes) };
}

/** The row with what these records add to it; nothing when they do not. */
export function filledUp(row: StudyRow, records: Records | undefined, index: BlindIndex): ({ row: StudyRow; key: DataKey } & Description)[] {
  if (!records) return [];
  const [{ key }] = records;
  const before = attributesOf(row, key);
  const attributes = records.reduce<DicomJson>((known, { study }) => filledIn(known, study.attributes) ?? known, before);
  return attributes === before ? [] : [{ row, key, attributes, tokens: studyTokens(index, attributes) }];
}

/** Sealed by us out of a DicomJson. @throws AppError `study-deleted` when the study was deleted and made anew since its key was asked for */
export function attributesOf({ id, key_id, sealed }: StudyRow, key: DataKey): DicomJson {
  if (key_id !== key.id) throw new AppError('study-deleted', { detail: 'The study was deleted while this instance arrived.' });
  return JSON.parse(openJson(key, sealed, sealContext.study(id))) as DicomJson;
}
