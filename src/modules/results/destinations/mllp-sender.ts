import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { decoded } from '../../../imaging/report/hl7/character-set.js';
import { acknowledgementOf } from './acknowledgement.js';
import { NotSent, type Hl7Target, type SendFailure } from './destination.js';

/** An HL7 v2 message as it goes over the line. */
export interface Hl7Message {
  /** MSH-10. */
  controlId: string;
  bytes: Uint8Array;
}

/** Frame of MLLP: start block, and end block with carriage return. @see HL7 Transport Specification: MLLP, Release 2 */
const START = 0x0b;
const END = 0x1c;
const RETURN = 0x0d;
/** Longer than any acknowledgement. */
const MOST_BYTES = 64 * 1024;
const BLANKS: ReadonlySet<number> = new Set([0x0a, RETURN, 0x20]);

/**
 * Sends one message over a connection of its own and waits for its acknowledgement. Whatever is no clear answer to this very message counts as not sent, so a receiver may get it twice, with the same control id.
 *
 * @param address  of the host, which was checked
 * @throws NotSent
 */
export async function sendByMllp(target: Hl7Target, address: string, { controlId, bytes }: Hl7Message, limits: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
  const answer = acknowledgementOf(decoded(await exchange(target, address, bytes, limits), target.characterSet));
  if (!answer) throw new NotSent(unclear('The receiver answered with something that is no acknowledgement'));
  if (answer.controlId !== controlId) throw new NotSent(unclear('The receiver acknowledged another message (MSA-2)'));
  const failure = failureOf(answer.code, answer.error);
  if (failure) throw new NotSent(failure);
}

function failureOf(code: string, error: string): SendFailure | undefined {
  const detail = `Acknowledgement ${code}${error === '' ? '' : `, error ${error}`}`;
  switch (code) {
    case 'AA': case 'CA': return undefined;
    case 'AE': case 'CE': return { code: 'refused', detail, again: true };
    case 'AR': case 'CR': return { code: 'refused', detail, again: false };
    default: return unclear('The receiver answered with an unknown acknowledgement code (MSA-1)');
  }
}

/** @returns what stands in the first frame that comes back */
async function exchange(target: Hl7Target, address: string, bytes: Uint8Array, { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal }): Promise<Uint8Array> {
  const socket = open(target, address);
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const fail = (failure: SendFailure): void => { reject(new NotSent(failure)); };
      let isSent = false;
      let received = Buffer.alloc(0);
      timer = setTimeout(() => { fail({ code: 'timeout', detail: isSent ? 'The receiver did not acknowledge the message in time' : 'The receiver did not take the connection in time', again: true }); }, timeoutMs);
      stop = () => { fail({ code: 'timeout', detail: 'This process stopped', again: true }); };
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      socket.once(target.tls ? 'secureConnect' : 'connect', () => {
        isSent = true;
        socket.write(Buffer.concat([Uint8Array.of(START), bytes, Uint8Array.of(END, RETURN)]));
      });
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        const start = received.findIndex((byte) => !BLANKS.has(byte));
        const end = received.indexOf(END);
        if (start >= 0 && received[start] !== START) fail(unclear('The receiver does not speak MLLP'));
        else if (end >= 0) resolve(received.subarray(start + 1, end));
        else if (received.length > MOST_BYTES) fail(unclear('The receiver answered without end'));
      });
      socket.on('error', (error) => { fail({ code: 'unreachable', detail: `${isSent ? 'The connection broke' : 'No connection'}${reasonOf(error)}`, again: true }); });
      socket.on('close', () => { fail({ code: 'unreachable', detail: 'The receiver closed the connection without an acknowledgement', again: true }); });
    });
  } finally {
    clearTimeout(timer);
    if (stop) signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}

function open({ tls, host, port, ca }: Hl7Target, address: string): Socket {
  if (!tls) return connectPlain({ host: address, port });
  // The certificate must be the host's, whatever its address; a server name that is an address is none. RFC 6066 §3
  return connectTls({ host: address, port, minVersion: 'TLSv1.2', ...(isIP(host) === 0 && { servername: host }), ...(ca !== null && { ca }) });
}

/** Node's name of what happened; its words may name addresses. */
function reasonOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(error.code) ? ` (${error.code})` : '';
}

function unclear(detail: string): SendFailure {
  return { code: 'bad-answer', detail, again: true };
}
