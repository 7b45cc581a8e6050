import type { SendMailOptions } from 'nodemailer';
import type { Mail } from './mailer.js';

/** One line: a line break would begin another header. */
const BREAKS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

export function messageOf({ to, subject, text, html, id }: Mail, from: string): SendMailOptions {
  return {
    from, to: { name: oneLine(to.name), address: oneLine(to.address) }, subject: oneLine(subject), text,
    ...(html !== undefined && { html }), ...(id !== undefined && { messageId: `<${oneLine(id)}@healthvision>` }),
    // RFC 3834 §5: no out-of-office answers.
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    disableFileAccess: true, disableUrlAccess: true,
  };
}

function oneLine(text: string): string {
  return text.replace(BREAKS, ' ').trim();
}
