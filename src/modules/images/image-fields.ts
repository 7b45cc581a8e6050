import { z } from 'zod';
import { AppError, type FieldError } from '../../kernel/errors.js';

/** Forms send an empty text for a field that nobody filled in. */
const optional = <T extends z.ZodType>(schema: T): z.ZodPreprocess<z.ZodOptional<T>> =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() === '' ? undefined : value), schema.optional());

/** A DICOM code string. PS3.5 §6.2, CS */
const codeString = z.string().trim().toUpperCase().regex(/^[A-Z0-9 _]{1,16}$/, 'must have at most 16 letters, digits, spaces or underscores');

/**
 * What a picture can come from: projection radiography (mammography and dental included), photography, and anything else.
 * A computed tomogram or ultrasound clip is more than a picture of it can say.
 *
 * @see PS3.3 C.7.3.1.1.1
 */
export const PICTURE_MODALITIES = ['CR', 'DX', 'RG', 'MG', 'IO', 'PX', 'XC', 'OT'] as const;

/** What a client says of a PNG or JPEG picture. Holds PHI. */
const imageFields = z.strictObject({
  // A backslash or a control character would end or split the value. PS3.5 §6.2, LO
  patientId: optional(z.string().trim().max(64, 'must have at most 64 characters').regex(/^[^\\\p{Cc}]*$/u, 'must hold no backslash or control character')),
  patientAge: optional(z.string().trim().regex(/^\d{1,3}(\.\d{1,4})?$/, 'must be a number of years').transform(Number).refine((years) => years <= 150, 'must lie between 0 and 150')),
  patientSex: optional(z.string().trim().toUpperCase().pipe(z.enum(['M', 'F', 'O'], 'must be M, F or O'))),
  modality: optional(z.string().trim().toUpperCase().pipe(z.enum(PICTURE_MODALITIES, `must be one of ${PICTURE_MODALITIES.join(', ')}`))),
  bodyPart: optional(codeString),
  viewPosition: optional(codeString),
});

export type ImageFields = z.output<typeof imageFields>;

export const IMAGE_FIELD_NAMES = Object.keys(imageFields.shape);

/**
 * @param fields  form fields as they came, each with its values; the same value again is no harm
 * @throws AppError `invalid-image-fields`; the detail names the field, never its value
 */
export function parseImageFields(fields: ReadonlyMap<string, readonly string[]>): ImageFields {
  // Which of two values is meant nobody can tell, and the wrong one would stand in the object for good.
  const contradictions = [...fields].filter(([, values]) => new Set(values).size > 1).map(([name]) => ({ pointer: `/${name}`, detail: 'must be given once' }));
  if (contradictions.length > 0) throw invalid(contradictions);
  const parsed = imageFields.safeParse(Object.fromEntries([...fields].map(([name, [value]]) => [name, value])));
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => ({ pointer: `/${issue.path.map(String).join('/')}`, detail: issue.message })));
}

function invalid(errors: FieldError[]): AppError {
  return new AppError('invalid-image-fields', { detail: errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; '), errors });
}
