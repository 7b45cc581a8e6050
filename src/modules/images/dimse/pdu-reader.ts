import type { Socket } from 'node:net';
import { ABORT_REASON, ConnectionLost, LONGEST_PDU_BYTES, PDU, PDU_HEADER_BYTES, ProtocolError } from './protocol.js';

/** The peer kept us waiting for longer than it may. */
export class SilentPeer extends Error {
  override readonly name = 'SilentPeer';
}

const RECEIVED: ReadonlySet<number> = new Set(Object.values(PDU));
/** A-RELEASE-RQ and A-ABORT. */
const SHORT_PDU_BYTES = 4;
/** A message that has begun must bring this much while we wait for `patienceMs`; no network is slower, only a peer that holds a place. */
const LEAST_PROGRESS_BYTES = 64 * 1024;

/**
 * Cuts the bytes of a connection into PDUs. It reads on when it is asked for the next one only, so a slow consumer slows the
 * sender down; and only the time that the peer makes us wait counts against the peer.
 */
export class PduReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private readonly held: Buffer[] = [];
  private heldBytes = 0;
  private waitedMs = 0;
  private progressBytes = 0;

  /** @param patienceMs  for a PDU that has begun, and for each step of a message that has begun */
  constructor(
    socket: Socket,
    private readonly patienceMs: number,
  ) {
    // A socket without an encoding gives buffers.
    this.chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /**
   * The next PDU with its header, or undefined when the peer has closed the connection.
   *
   * @param firstByteMs  how long it may stay away, between messages; inside one the patience for the message goes on
   * @throws ProtocolError for a type or length that nobody sends; SilentPeer; ConnectionLost when it ends in the middle
   */
  async next(firstByteMs?: number): Promise<Buffer | undefined> {
    if (firstByteMs !== undefined) {
      this.waitedMs = 0;
      this.progressBytes = 0;
      if (this.heldBytes === 0 && !(await this.fill(firstByteMs))) return undefined;
      this.waitedMs = 0;
    }
    if (!(await this.need(PDU_HEADER_BYTES))) return undefined;
    const header = this.peek(PDU_HEADER_BYTES);
    const type = header.readUInt8(0);
    const length = header.readUInt32BE(2);
    if (!RECEIVED.has(type)) throw new ProtocolError(ABORT_REASON.unrecognizedPdu, 'A PDU of an unknown type');
    if (length > (type === PDU.data || type === PDU.associateRequest ? LONGEST_PDU_BYTES : SHORT_PDU_BYTES)) throw new ProtocolError(ABORT_REASON.invalidParameter, 'A PDU is too long');
    if (!(await this.need(PDU_HEADER_BYTES + length))) throw new ConnectionLost();
    return this.take(PDU_HEADER_BYTES + length);
  }

  /** Throws away whatever still comes, until the connection ends: what we sent last would be lost with an early close. */
  async drain(): Promise<void> {
    try {
      while ((await this.chunks.next()).done !== true);
    } catch {
      // Ended all the same.
    }
  }

  /** @returns false when the connection ended before the first byte. @throws ConnectionLost after it */
  private async need(bytes: number): Promise<boolean> {
    while (this.heldBytes < bytes) {
      if (await this.fill(this.patienceMs - this.waitedMs)) continue;
      if (this.heldBytes > 0) throw new ConnectionLost();
      return false;
    }
    return true;
  }

  private async fill(limitMs: number): Promise<boolean> {
    const asked = performance.now();
    const step = await this.within(limitMs, this.chunks.next());
    if (step.done === true) return false;
    this.held.push(step.value);
    this.heldBytes += step.value.length;
    this.waitedMs += performance.now() - asked;
    this.progressBytes += step.value.length;
    if (this.progressBytes >= LEAST_PROGRESS_BYTES) {
      this.waitedMs = 0;
      this.progressBytes = 0;
    }
    return true;
  }

  private async within<T>(limitMs: number, step: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => { reject(new SilentPeer()); }, Math.max(0, limitMs));
    });
    try {
      return await Promise.race([step, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private peek(bytes: number): Buffer {
    const [first] = this.held;
    if (first && first.length >= bytes) return first.subarray(0, bytes);
    const joined = Buffer.concat(this.held);
    this.held.splice(0, this.held.length, joined);
    return joined.subarray(0, bytes);
  }

  private take(bytes: number): Buffer {
    const taken = this.peek(bytes);
    const [first] = this.held;
    if (first && first.length > bytes) this.held[0] = first.subarray(bytes);
    else this.held.shift();
    this.heldBytes -= bytes;
    return taken;
  }
}
