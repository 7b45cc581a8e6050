import { once } from 'node:events';
import { SMTPServer } from 'smtp-server';
import { eventually } from '../../support/product.js';

export interface ReceivedMail {
  /** Envelope recipients. */
  to: string[];
  /** Header lines, unfolded. */
  headers: string[];
  /** Decoded. */
  text: string;
  raw: string;
}

export interface Mailbox {
  url: string;
  mails: ReceivedMail[];
  /** Refuses everything with a passing failure while it is true. */
  away: boolean;
  /** Addresses that it says it does not know. */
  unknown: Set<string>;
  /** The newest mail to an address that came after `count` mails to it. */
  next(address: string, count?: number): Promise<ReceivedMail>;
  close(): Promise<void>;
}

/** A mail relay on this machine that keeps what it gets. */
export async function openMailbox(): Promise<Mailbox> {
  const mails: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true, disabledCommands: ['STARTTLS'], logger: false,
    onMailFrom: (_address, _session, done) => { done(mailbox.away ? Object.assign(new Error('come back later'), { responseCode: 451 }) : null); },
    onRcptTo: ({ address }, _session, done) => { done(mailbox.unknown.has(address) ? Object.assign(new Error('no such mailbox'), { responseCode: 550 }) : null); },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const raw = Buffer.concat(chunks).toString();
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), ...parsed(raw), raw });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const address = server.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const mailbox: Mailbox = {
    url: `smtp://127.0.0.1:${String(address.port)}`, mails, away: false, unknown: new Set(),
    next: (to, count = 0) => eventually(`a mail to ${to}`, () => Promise.resolve(mails.filter((mail) => mail.to.includes(to))[count])),
    close: () => new Promise((resolve) => { server.close(() => { resolve(); }); }),
  };
  return mailbox;
}

/** One text part, as ours are. */
export function parsed(raw: string): Pick<ReceivedMail, 'headers' | 'text'> {
  const [head = '', ...rest] = raw.split(/\r?\n\r?\n/);
  const headers = head.replaceAll(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
  const encoding = headers.find((line) => /^content-transfer-encoding:/i.test(line))?.split(':')[1]?.trim().toLowerCase();
  const body = rest.join('\n\n');
  const text = encoding === 'base64' ? Buffer.from(body, 'base64').toString()
    : encoding === 'quoted-printable' ? Buffer.from(body.replaceAll(/=\r?\n/g, '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString()
    : body;
  return { headers, text };
}

/** The secret of the link in a mail. */
export function tokenIn({ text }: Pick<ReceivedMail, 'text'>): string {
  const token = /\?token=([\w-]+)/.exec(text)?.[1];
  if (token === undefined) throw new Error(`no link in: ${text}`);
  return token;
}
