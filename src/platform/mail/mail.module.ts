import { Module } from '@nestjs/common';
import { join } from 'node:path';
import { CONFIG, type Config } from '../config.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { FileMailer } from './file-mailer.js';
import { Mailer } from './mailer.js';
import { SmtpMailer } from './smtp-mailer.js';

/** By SMTP where there is a relay, else into files under DATA_DIR. */
@Module({
  providers: [{
    provide: Mailer,
    inject: [CONFIG, LOGGER],
    useFactory: ({ SMTP_URL, MAIL_FROM, dataDir }: Config, logger: Logger): Mailer => (SMTP_URL === undefined ? new FileMailer(join(dataDir, 'mail'), MAIL_FROM, logger) : new SmtpMailer(SMTP_URL, MAIL_FROM)),
  }],
  exports: [Mailer],
})
export class MailModule {}
