import { z } from 'zod';
import { personName } from '../../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { pageQuery, pageSchema } from '../../../platform/http/page.js';
import { etagOf } from '../../../platform/http/representation.js';
import { isoDate, word } from '../studies-json.js';
import type { PatientRow } from './patients.store.js';

/** Longer beginnings are not in the index. @see qido/search-tokens.ts */
const LONGEST_BEGINNING = 16;

export const patientQuery = z.strictObject({
  ...pageQuery.shape,
  patientId: z.string().max(64).optional().meta({ description: 'Exactly this Patient ID', example: 'P-1024' }),
  name: z.string().trim().min(1).max(LONGEST_BEGINNING).regex(/^[^*?\\]*$/, 'takes no wildcards').optional().meta({ description: 'The name, or a word of it, begins like this, in Latin letters or in the patient’s own script; capitals do not matter', example: 'Example' }),
});
export type PatientQuery = z.output<typeof patientQuery>;

export const patientSchema = z
  .object({
    id: z.uuid().meta({ description: 'Of ours, never the Patient ID' }),
    patientId: z.string().nullable(),
    patientName: z.string().nullable().meta({ description: 'First component group that the name has' }),
    patientNameIdeographic: z.string().nullable().meta({ description: 'Second component group: the name in Chinese, Japanese or Korean script, where it stands beside one in Latin letters' }),
    patientBirthDate: z.string().nullable().meta({ description: 'YYYY-MM-DD; as it came when it is no date' }),
    patientSex: z.string().nullable(),
    studyCount: z.int(),
    studiesOnHold: z.int().meta({ description: 'Studies under legal hold: while there are any, the patient cannot be erased' }),
    firstStudyDate: z.string().nullable().meta({ description: 'YYYY-MM-DD' }),
    lastStudyDate: z.string().nullable().meta({ description: 'YYYY-MM-DD' }),
    modalities: z.array(z.string()),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Patient', description: 'Everybody with one Patient ID in one institution. Who they are is what their newest study says; null throughout when its key was destroyed.' });

export const patientPageSchema = pageSchema(patientSchema, 'PatientPage');
export type PatientJson = z.infer<typeof patientSchema>;

export const patientExample: PatientJson = {
  id: '0198c0de-0000-7000-8000-00000000000a', patientId: 'P-1024', patientName: 'Example^Eve', patientNameIdeographic: null, patientBirthDate: '1972-03-04', patientSex: 'F',
  studyCount: 2, studiesOnHold: 0, firstStudyDate: '2025-02-03', lastStudyDate: '2026-11-21', modalities: ['CT', 'DX'], createdAt: '2025-02-03T09:12:00.000Z',
};

/** @param attributes  of the newest study; undefined when they cannot be read any more */
export function patientJson(row: PatientRow, attributes: DicomJson = {}): PatientJson {
  return {
    id: row.id,
    patientId: word(attributes, 'PatientID'), patientName: word(attributes, 'PatientName'),
    patientNameIdeographic: personName(attributes, 'PatientName')?.Ideographic ?? null,
    patientBirthDate: isoDate(word(attributes, 'PatientBirthDate')), patientSex: word(attributes, 'PatientSex'),
    studyCount: row.studyCount, studiesOnHold: row.studiesOnHold,
    firstStudyDate: isoDate(row.firstStudyDate), lastStudyDate: isoDate(row.lastStudyDate),
    modalities: row.modalities,
    createdAt: row.createdAt.toISOString(),
  };
}

/** Follows the patient's studies: one more, one less, or a change to one. */
export function patientETag({ id, studyCount, updatedAt }: Pick<PatientRow, 'id' | 'studyCount' | 'updatedAt'>): string {
  return etagOf(id, studyCount, updatedAt.getTime());
}
