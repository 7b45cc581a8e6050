import { Message } from 'node-hl7-client';

/** What an HL7 receiver answers. @see HL7 v2.5.1 2.15.8 */
export interface Acknowledgement {
  /** MSA-1: AA, AE, AR; of the enhanced mode CA, CE, CR. */
  code: string;
  /** MSA-2: MSH-10 of what it answers. */
  controlId: string;
  /** ERR-3, table 0357, or empty: a number, never words, which may hold anything. */
  error: string;
}

/** undefined for what is none. */
export function acknowledgementOf(text: string): Acknowledgement | undefined {
  try {
    const message = new Message({ text: text.trim() });
    const valueOf = (path: string): string => (message.exists(path) ? message.get(path).toString().trim() : '');
    const [code, controlId, error] = ['MSA.1', 'MSA.2', 'ERR.3.1'].map(valueOf);
    return code === undefined || code === '' ? undefined : { code, controlId: controlId ?? '', error: /^\d{3}$/.test(error ?? '') ? (error ?? '') : '' };
  } catch {
    return undefined;
  }
}
