import { z } from 'zod';
import { CRITICAL_TOPICS, NOTIFIED_TOPICS, type NotifiedTopic } from '../topics.js';
import { RESULT_CRITICAL } from '../../analysis/analysis.contract.js';

/** By e-mail: not at all, at once, or together with others. */
export const MAIL_WAYS = ['off', 'immediately', 'digest'] as const;
export type MailWay = (typeof MAIL_WAYS)[number];

const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;

const timeOfDay = z.string().regex(TIME_OF_DAY, 'must be a time of day such as 22:00');
const timeZone = z.string().max(64).refine(isTimeZone, 'must be a time zone of the IANA database, such as Asia/Shanghai');

/** What is critical does not wait for others. */
const ways = Object.fromEntries(NOTIFIED_TOPICS.map((topic) => [topic, (CRITICAL_TOPICS.includes(topic) ? z.enum(['off', 'immediately']) : z.enum(MAIL_WAYS)).default('off')])) as Record<NotifiedTopic, z.ZodDefault<z.ZodEnum<{ [Way in MailWay]: Way }>>>;

export const preferencesSchema = z.strictObject({
  language: z.enum(['en', 'zh-CN']).nullable().default(null).meta({ description: 'Of the mails; null: both, one below the other' }),
  timeZone: timeZone.meta({ description: 'Name in the IANA database', example: 'Asia/Shanghai' }),
  email: z.strictObject(ways).meta({ description: 'How each topic comes by e-mail; those that are left out do not' }),
  digest: z
    .discriminatedUnion('every', [z.strictObject({ every: z.literal('hour') }), z.strictObject({ every: z.literal('day'), hour: z.number().int().min(0).max(23) })])
    .default({ every: 'day', hour: 7 })
    .meta({ description: 'When mails of the topics on `digest` go out: at every full hour, or at one hour of the day in the time zone' }),
  quietHours: z
    .strictObject({ from: timeOfDay, to: timeOfDay })
    .refine(({ from, to }) => from !== to, 'must begin and end at different times')
    .nullable().default(null)
    .meta({ description: 'In the time zone, past midnight when `to` is earlier; mails wait for their end, but for critical ones' }),
});

/** What a person wants to be told by e-mail, and when. */
export type Preferences = z.output<typeof preferencesSchema>;

/** Roles that are told of a topic at once until they say otherwise: whoever reads results or answers for it is told of critical ones. */
export function rolesToldOf(topic: string): readonly string[] {
  return topic === RESULT_CRITICAL ? ['radiologist', 'admin'] : [];
}

/** Of somebody who has not chosen. */
export function defaultPreferences(role: string): Preferences {
  const told = NOTIFIED_TOPICS.filter((topic) => rolesToldOf(topic).includes(role));
  return preferencesSchema.parse({ timeZone: 'UTC', email: Object.fromEntries(told.map((topic) => [topic, 'immediately'])) });
}

function isTimeZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
