import type { Language } from '../../../kernel/errors.js';
import type { DomainEvent } from '../../../platform/queue/outbox.js';

/** Outbox topic: a person is to get an e-mail. */
export const MAIL_REQUESTED = 'users.mail-requested';

/** The first two carry a link; the others tell of what has happened, in case it was somebody else. */
export const MAIL_KINDS = ['invitation', 'password-reset', 'password-changed', 'second-factor-added', 'second-factor-removed'] as const;
export type MailKind = (typeof MAIL_KINDS)[number];

/** Written in the transaction of what it tells of. No address and no secret: whoever sends it reads the one and makes the other. */
export type MailRequested = { institutionId: string; userId: string; kind: MailKind; language: Language; createdBy: string | null };

export function mailRequested(payload: MailRequested): DomainEvent {
  return { institutionId: payload.institutionId, topic: MAIL_REQUESTED, payload };
}
