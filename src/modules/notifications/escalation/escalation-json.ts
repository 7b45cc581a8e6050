import { z } from 'zod';
import { chainSchema, CHANNELS, type Told } from './chain.js';
import type { Escalation, MailState, TakenStep } from './escalation-report.store.js';
import { ESCALATION_STATES } from './escalations.store.js';

const MAIL_STATES = ['waiting', 'sent', 'skipped', 'given-up'] as const;
const time = z.string().meta({ format: 'date-time' });

const toldSchema = z.object({
  userId: z.uuid().nullable().meta({ description: 'null: of a role that nobody had' }),
  role: z.string().nullable(),
  channels: z.array(z.enum(CHANNELS)),
  skipped: z.enum(['unknown', 'not-active', 'not-permitted', 'nobody']).nullable().meta({ description: 'Why they were not told' }),
  mail: z.enum(MAIL_STATES).nullable().meta({ description: 'What became of the e-mail' }),
});

export const escalationSchema = z
  .object({
    notificationId: z.uuid(),
    state: z.enum(ESCALATION_STATES).meta({ description: '`exhausted`: everybody of the chain was told, or there is none, and nobody has acknowledged it' }),
    startedAt: time,
    steps: z.array(z.object({ step: z.number().int(), ...chainSchema.element.shape, dueAt: time, takenAt: time.nullable(), told: z.array(toldSchema) })).meta({ description: 'The chain as it was when the notification came in' }),
    acknowledgedAt: time.nullable(),
    acknowledgedBy: z.uuid().nullable(),
    secondsToAcknowledgement: z.number().nullable(),
  })
  .meta({ id: 'Escalation', description: 'Who was told of a critical result, and who acknowledged it' });

export type EscalationJson = z.infer<typeof escalationSchema>;

export const escalationExample: EscalationJson = {
  notificationId: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0d', state: 'acknowledged', startedAt: '2026-11-21T10:00:00.000Z',
  steps: [{
    step: 1, afterMinutes: 5, recipients: [{ role: 'radiologist' }], channels: ['email', 'in-app'], dueAt: '2026-11-21T10:05:00.000Z', takenAt: '2026-11-21T10:05:03.000Z',
    told: [{ userId: '0198c0de-0001-7000-8000-000000000001', role: null, channels: ['email', 'in-app'], skipped: null, mail: 'sent' }],
  }],
  acknowledgedAt: '2026-11-21T10:07:30.000Z', acknowledgedBy: '0198c0de-0001-7000-8000-000000000001', secondsToAcknowledgement: 450,
};

export function escalationJson({ escalation, taken, mails }: { escalation: Escalation; taken: readonly TakenStep[]; mails: readonly MailState[] }): EscalationJson {
  const { notificationId, state, steps, startedAt, acknowledgedAt, acknowledgedBy, seconds } = escalation;
  return {
    notificationId, state, startedAt: startedAt.toISOString(),
    steps: steps.map((step, index) => {
      const done = taken.find((one) => one.step === index + 1);
      return {
        step: index + 1, ...step,
        dueAt: new Date(startedAt.getTime() + step.afterMinutes * 60_000).toISOString(),
        takenAt: done?.at.toISOString() ?? null,
        told: (done?.told ?? []).map((told) => toldJson(told, index + 1, mails)),
      };
    }),
    acknowledgedAt: acknowledgedAt?.toISOString() ?? null, acknowledgedBy, secondsToAcknowledgement: seconds,
  };
}

function toldJson(told: Told, step: number, mails: readonly MailState[]): EscalationJson['steps'][number]['told'][number] {
  const userId = 'userId' in told ? told.userId : null;
  const mail = mails.find((one) => one.userId === userId && one.step === step)?.state;
  return {
    userId, role: 'role' in told ? told.role : null,
    channels: 'channels' in told ? [...told.channels] : [], skipped: 'skipped' in told ? told.skipped : null,
    mail: MAIL_STATES.find((known) => known === mail) ?? null,
  };
}
