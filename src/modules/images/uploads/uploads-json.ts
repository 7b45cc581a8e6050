import { z } from 'zod';
import { fileFateFields } from '../fate-json.js';
import type { FileFate } from '../fate.js';
import type { Upload } from './uploads.store.js';

export const uploadSchema = z
  .object({
    id: z.uuid(),
    state: z.enum(['receiving', 'storing', 'done', 'failed']).meta({ description: '`storing`: all bytes are there and are being taken apart; `failed`: that was not possible' }),
    offsetBytes: z.number().int().meta({ description: 'Bytes that are durable' }),
    lengthBytes: z.number().int().nullable().meta({ description: 'Bytes in all; null while the client has not said' }),
    items: z.array(z.object(fileFateFields)).optional().meta({ description: 'When it is done: one item per DICOM file, picture, or entry of an archive' }),
    problem: z.object({ code: z.string(), detail: z.string().optional() }).optional().meta({ description: 'When it failed' }),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable().meta({ description: 'When the upload, or what is known of it, is removed; null while it is being stored' }),
  })
  .meta({ id: 'ResumableUpload' });

export type UploadJson = z.infer<typeof uploadSchema>;

export const uploadExample: UploadJson = {
  id: '0198c0de-0000-7000-8000-000000000009', state: 'done', offsetBytes: 8_400_132, lengthBytes: 8_400_132,
  items: [{ file: 'chest.dcm', status: 'stored', studyInstanceUid: '1.2.840.113619.2.55.1', seriesInstanceUid: '1.2.840.113619.2.55.1.1', sopInstanceUid: '1.2.840.113619.2.55.1.1.1' }],
  createdAt: '2026-11-21T10:15:00.000Z', expiresAt: '2026-11-22T10:15:30.000Z',
};

/** @param fates  of an upload that is done */
export function uploadJson({ id, state, offsetBytes, lengthBytes, outcome, createdAt, expiresAt }: Upload, fates: readonly FileFate[] | undefined): UploadJson {
  return {
    id, state, offsetBytes, lengthBytes,
    ...(fates && { items: [...fates] }),
    ...(outcome?.kind === 'problem' && { problem: { code: outcome.code, ...(outcome.detail !== undefined && { detail: outcome.detail }) } }),
    createdAt: createdAt.toISOString(),
    expiresAt: state === 'storing' ? null : expiresAt.toISOString(),
  };
}
