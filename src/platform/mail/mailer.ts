/** An e-mail to one person. Nothing in it is loaded, and nothing happens by following its link: a filter's robot does so in place of a person. */
export interface Mail {
  to: { name: string; address: string };
  subject: string;
  text: string;
  /** The same for those whose reader shows it: a whole document without pictures, scripts and styles from elsewhere. */
  html?: string;
  /** A second try of the same mail has the same, so that a reader may show it once. Letters, digits and dashes. */
  id?: string;
}

/** Sends e-mails. Nothing of a patient goes into one: they cross machines that are not ours. */
export abstract class Mailer {
  /** Resolves once the mail is out of our hands. @throws what the way out meets; a later try may succeed */
  abstract send(mail: Mail): Promise<void>;
}
