import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';

/** Forms send an empty text for a field that nobody filled in. */
const optional = <T extends z.ZodType>(schema: T): z.ZodPreprocess<z.ZodOptional<T>> =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() === '' ? undefined : value), schema.optional());

/** A DICOM code string. PS3.5 §6.2, CS */
const codeString = z.string().trim().toUpperCase().regex(/^[A-Z0-9 _]{1,16}$/, 'must have at most 16 letters, digits, spaces or underscores');

/** What a client says of a PNG or JPEG picture. Holds PHI. */
const imageFields = z.strictObject({
  // A backslash or a control character would end or split the value. PS3.5 §6.2, LO
  patientId: optional(z.string().trim().max(64, 'must have at most 64 characters').regex(/^[^\\\p{Cc}]*$/u, 'must hold no backslash or control character')),
  patientAge: optional(z.string().trim().regex(/^\d{1,3}(\.\d{1,4})?$/, 'must be a number of years').transform(Number).refine((years) => years <= 150, 'must lie between 0 and 150')),
  patientSex: optional(z.string().trim().toUpperCase().pipe(z.enum(['M', 'F', 'O'], 'must be M, F or O'))),
  modality: optional(codeString),
  bodyPart: optional(codeString),
  viewPosition: optional(codeString),
});

export type ImageFields = z.output<typeof imageFields>;

export const IMAGE_FIELD_NAMES = Object.keys(imageFields.shape);

/**
 * @param fields  form fields as they came
 * @throws AppError `invalid-image-fields`; the detail names the field, never its value
 */
export function parseImageFields(fields: ReadonlyMap<string, string>): ImageFields {
  const parsed = imageFields.safeParse(Object.fromEntries(fields));
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => ({ pointer: `/${issue.path.map(String).join('/')}`, detail: issue.message }));
  throw new AppError('invalid-image-fields', { detail: errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; '), errors });
}
