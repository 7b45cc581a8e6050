import { createTransport } from 'nodemailer';
import { Mailer, type Mail } from './mailer.js';
import { messageOf } from './message.js';

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Hands mails to a relay. */
export class SmtpMailer extends Mailer {
  private readonly transport;

  /**
   * @param url  `smtps://user:password@host:465`, or `smtp://` with STARTTLS, which the relay must offer unless it is on this machine
   *   or the URL says `?requireTLS=false`
   */
  constructor(url: string, private readonly from: string) {
    super();
    this.transport = createTransport({
      url, connectionTimeout: CONNECT_MS, greetingTimeout: CONNECT_MS, socketTimeout: SILENCE_MS, requireTLS: needsTls(new URL(url)),
      // A mail is what is written in it, whatever somebody manages to put there.
      disableFileAccess: true, disableUrlAccess: true,
    });
  }

  async send(mail: Mail): Promise<void> {
    await this.transport.sendMail(messageOf(mail, this.from));
  }
}

function needsTls({ protocol, hostname, searchParams }: URL): boolean {
  return protocol === 'smtp:' && !LOOPBACK.test(hostname) && !['requireTLS', 'ignoreTLS'].some((name) => searchParams.get(name) === (name === 'requireTLS' ? 'false' : 'true'));
}
