/** An e-mail to one person. Text only: nothing that is loaded, nothing that is clicked by a filter's robot in place of a person. */
export interface Mail {
  to: { name: string; address: string };
  subject: string;
  text: string;
}

/** Sends e-mails. Nothing of a patient goes into one: they cross machines that are not ours. */
export abstract class Mailer {
  /** Resolves once the mail is out of our hands. @throws what the way out meets; a later try may succeed */
  abstract send(mail: Mail): Promise<void>;
}
