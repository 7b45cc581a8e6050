import { z } from 'zod';

/** A name that people give: one line of text. Control characters would forge lines elsewhere, and PostgreSQL stores no null. */
export const name = z.string().trim().min(1).max(200).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ description: 'One line, at most 200 characters' });

/** Of a mailbox. What zod lets pass holds no line break, so that it cannot begin another header of a mail. */
export const emailAddress = z.email().max(254).meta({ example: 'grace@hospital.example', description: 'Signs in with it; capitals do not count' });

/** A password that somebody chooses; what it must be beyond this is the affair of `PasswordPolicy`. */
export const chosenPassword = z.string().min(1).max(1_024).meta({ example: 'orbit pickle trumpet lagoon', description: '12 to 256 characters, on no list of known passwords, hard to guess' });
