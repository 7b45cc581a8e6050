import { z } from 'zod';

/** A name that people give: one line of text. Control characters would forge lines elsewhere, and PostgreSQL stores no null. */
export const name = z.string().trim().min(1).max(200).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ description: 'One line, at most 200 characters' });
