import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Database } from '../../../platform/database/database.js';
import { Mailer } from '../../../platform/mail/mailer.js';
import { publicUrl } from '../../../platform/mail/public-url.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { sha256Hex } from '../secrets.js';
import type { MailKind, MailRequested } from './mail-requested.js';
import { mailText } from './mail-texts.js';
import { UserLinksStore, type LinkPurpose, type Recipient } from './user-links.store.js';

/**
 * Sends one mail to one person. The secret of its link is made here, so that it lies in no queue and no outbox; a second run
 * makes another one, which replaces the first.
 */
@Injectable()
export class SendMailJob extends JobHandler<MailRequested> {
  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'PUBLIC_URL' | 'PORT' | 'TLS_CERT_FILE'>,
    private readonly links: UserLinksStore,
    private readonly mailer: Mailer,
    private readonly database: Database,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  async handle(request: MailRequested, { jobId }: JobContext): Promise<void> {
    const { institutionId, userId, kind, language } = request;
    const recipient = await this.links.recipient(institutionId, userId);
    if (!recipient || !isWanted(kind, recipient)) return;
    const url = await this.urlFor(request, jobId);
    if (url === undefined) return;
    try {
      await this.mailer.send({ to: { name: recipient.displayName, address: recipient.email }, ...mailText(kind, language, { displayName: recipient.displayName, institution: recipient.institution, url }) });
      this.metrics.mails.inc({ kind, outcome: 'sent' });
    } catch (error) {
      this.metrics.mails.inc({ kind, outcome: 'failed' });
      throw error;
    }
  }

  /** undefined when a link was mailed a moment ago. */
  private async urlFor({ institutionId, userId, kind, createdBy }: MailRequested, jobId: string): Promise<string | undefined> {
    const base = publicUrl(this.config);
    const purpose = purposeOf(kind);
    if (purpose === undefined) return `${base}/${kind === 'password-changed' ? 'password-reset' : 'account'}`;
    const token = randomBytes(32).toString('base64url');
    const made = await this.database.transaction({ institutionId }, (tx) => this.links.replace(tx, { id: jobId, institutionId, userId, purpose, tokenHash: sha256Hex(token), createdBy }));
    return made ? `${base}/${purpose}?token=${token}` : undefined;
  }
}

function purposeOf(kind: MailKind): LinkPurpose | undefined {
  return kind === 'invitation' || kind === 'password-reset' ? kind : undefined;
}

/** Things may have changed since it was asked for. */
function isWanted(kind: MailKind, { state, hasPassword, institutionState }: Recipient): boolean {
  if (institutionState !== 'active') return false;
  switch (purposeOf(kind)) {
    case 'invitation': return state === 'invited';
    case 'password-reset': return state === 'active' && hasPassword;
    case undefined: return true;
  }
}
