import { z } from 'zod';
import { ROLE_PERMISSIONS, ROLES, type Role } from '../../users/users.contract.js';

/** Roles of people who are shown notifications. */
const CALLED_ROLES = ROLES.filter((role) => role !== 'service' && ROLE_PERMISSIONS[role].includes('notifications:read'));

export const CHANNELS = ['email', 'in-app'] as const;
export type Channel = (typeof CHANNELS)[number];

const MOST_STEPS = 20;
const MOST_RECIPIENTS = 50;
const MOST_MINUTES = 7 * 24 * 60;

const recipientSchema = z
  .union([z.strictObject({ userId: z.uuid().meta({ description: 'A person of the institution' }) }), z.strictObject({ role: z.enum(CALLED_ROLES as [Role, ...Role[]]).meta({ description: 'Everybody who has the role when the step is taken' }) })])
  .meta({ id: 'EscalationRecipient' });

const stepSchema = z
  .strictObject({
    afterMinutes: z.number().int().min(0).max(MOST_MINUTES).meta({ description: 'Since the notification came in' }),
    recipients: z.array(recipientSchema).min(1).max(MOST_RECIPIENTS),
    channels: z.array(z.enum(CHANNELS)).min(1).max(CHANNELS.length).refine((channels) => new Set(channels).size === channels.length, 'must name each channel once').meta({ description: '`in-app` makes the notification unread again' }),
  })
  .meta({ id: 'EscalationChainStep' });

export const chainSchema = z
  .array(stepSchema)
  .max(MOST_STEPS)
  .refine((steps) => steps.every(({ afterMinutes }, index) => index === 0 || afterMinutes > (steps[index - 1]?.afterMinutes ?? 0)), 'each step must come later than the one before')
  .meta({ description: 'In order; none: nobody is told beyond their own preferences' });

/** Who is told of a critical result that nobody acknowledges, and when. */
export type ChainStep = z.output<typeof stepSchema>;
export type Recipient = z.output<typeof recipientSchema>;

/** Of a person or role that was to be told. */
export type Told =
  | { userId: string; channels: readonly Channel[] }
  | { userId: string; skipped: 'unknown' | 'not-active' | 'not-permitted' }
  | { role: string; skipped: 'nobody' };

/** A chain that another version stored and this one cannot read tells nobody. */
export function chainOf(json: unknown): readonly ChainStep[] {
  return chainSchema.safeParse(json).data ?? [];
}
