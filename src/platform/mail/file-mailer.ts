import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Logger } from '../ops/logger.js';
import { Mailer, type Mail } from './mailer.js';
import { messageOf } from './message.js';

/** Writes mails to a folder that the administrator of the machine reads: for trying out, and for installations without a relay. */
export class FileMailer extends Mailer {
  private readonly transport = createTransport({ streamTransport: true, buffer: true, newline: 'unix' });

  constructor(
    private readonly folder: string,
    private readonly from: string,
    private readonly logger: Logger,
  ) {
    super();
  }

  async send(mail: Mail): Promise<void> {
    const { message } = await this.transport.sendMail(messageOf(mail, this.from));
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // The time first, so that they sort; no address in the name, which ends up in logs.
    const file = join(this.folder, `${new Date().toISOString().replaceAll(':', '-')}-${randomBytes(4).toString('hex')}.eml`);
    // `buffer` makes it one.
    await writeFile(`${file}.draft`, message as Buffer, { mode: 0o600, flag: 'wx' });
    await rename(`${file}.draft`, file);
    this.logger.info({ file }, 'an e-mail was written to a file, because SMTP_URL is not set');
  }
}
