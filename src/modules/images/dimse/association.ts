import type { Socket } from 'node:net';
import { AppError } from '../../../kernel/errors.js';
import type { Logger } from '../../../platform/ops/logger.js';
import type { Metrics } from '../../../platform/ops/metrics.js';
import type { ByteSource } from '../byte-source.js';
import type { Fate } from '../fate.js';
import type { IngestTarget } from '../ingest.service.js';
import { readAssociationRequest } from './association-request.js';
import { CallerCheck } from './caller-check.js';
import { readCommandSet } from './command-set.js';
import type { FoundCaller } from './dimse-callers.store.js';
import { negotiateContext } from './negotiation.js';
import { PduReader, SilentPeer } from './pdu-reader.js';
import { abortPdu, ABORT_REASON, ConnectionLost, dataPdu, PDU, pdvsOf, ProtocolError, type AbortReason, type Pdv, type RejectionCause } from './protocol.js';
import { StorageScp, type AcceptedContext, type Heard, type StoreCommand } from './storage-scp.js';
import { StoreOperation } from './store-operation.js';
import { STATUS, type StoreAnswer } from './store-status.js';

/** Milliseconds that a peer may take. */
export interface AssociationLimits {
  /** From the connection to the whole association request (ARTIM, PS3.8 §9.1.4). */
  requestMs: number;
  /** Between messages. */
  idleMs: number;
  /** For the rest of a PDU, and for every 64 KiB of a message. */
  patienceMs: number;
  /** From our last PDU until the peer has closed the connection. */
  lingerMs: number;
}

export interface AssociationPorts {
  ownAeTitle: string;
  maxObjectBytes: number;
  limits: AssociationLimits;
  logger: Logger;
  metrics: Metrics;
  /** @throws AppError `database-unavailable` */
  findCaller(aeTitle: string): Promise<FoundCaller | undefined>;
  ingest(source: ByteSource, target: IngestTarget, peer: { address: string | undefined; callingAeTitle: string }): Promise<Fate>;
  /** Takes one of the places for associations; false when none is left. */
  takePlace(): boolean;
  releasePlace(): void;
}

/** Commands have a few hundred bytes. */
const MOST_COMMAND_BYTES = 16 * 1024;
const MOST_COMMAND_FRAGMENTS = 64;

interface Message {
  contextId: number;
  /** Its fragments, as long as the command is not complete. */
  command: Buffer[];
  hasDataSet: boolean;
}

/**
 * One connection of a peer, from the association request to the end: an endless loop over its PDUs that hands the library one
 * fragment after the other and waits until it is dealt with. So at any time one fragment is in hand, order and lengths are
 * what the standard allows, and whatever comes instead ends this connection and nothing else.
 *
 * @see PS3.8 §9.2
 */
export class Association {
  private readonly reader: PduReader;
  private readonly scp: StorageScp;
  private readonly contexts = new Map<number, AcceptedContext>();
  private readonly caller: CallerCheck;
  private readonly address: string | undefined;
  private message: Message | undefined;
  private store: StoreOperation | undefined;
  private state: 'awaiting-request' | 'open' | 'over' = 'awaiting-request';
  private quietSince = performance.now();

  constructor(
    private readonly socket: Socket,
    private readonly ports: AssociationPorts,
  ) {
    socket.on('error', () => undefined);
    this.address = socket.remoteAddress;
    this.caller = new CallerCheck(ports.ownAeTitle, this.address, (aeTitle) => ports.findCaller(aeTitle));
    this.reader = new PduReader(socket, ports.limits.patienceMs);
    this.scp = new StorageScp({ send: (bytes) => { this.send(bytes); }, beginStore: (command) => this.beginStore(command) });
  }

  /** Resolves when the connection is closed and nothing of it is at work any more. Never rejects. */
  async run(): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.socket.once('close', () => { resolve(); }); });
    const { limits } = this.ports;
    try {
      while (!this.isOver()) {
        const pdu = await this.reader.next(this.state === 'awaiting-request' ? limits.requestMs : this.message ? undefined : limits.idleMs);
        if (this.isOver()) break;
        if (!pdu) {
          if (this.message) throw new ConnectionLost();
          break;
        }
        await this.take(pdu);
      }
    } catch (error) {
      this.fail(error);
    }
    this.end();
    await Promise.all([closed, this.store?.answer, this.reader.drain()]);
  }

  /** How long it has been between messages; 0 in the midst of one. */
  get quietMs(): number {
    return this.message ? 0 : performance.now() - this.quietSince;
  }

  /** Tells the peer that it is over and closes. What was not whole is thrown away. */
  abort(reason: AbortReason = ABORT_REASON.notSpecified): void {
    if (this.isOver()) return;
    if (this.state === 'open' || reason !== ABORT_REASON.notSpecified) this.send(abortPdu(reason));
    this.end();
  }

  /** A method, for `state` changes behind the compiler's back wherever something is awaited. */
  private isOver(): boolean {
    return this.state === 'over';
  }

  private end(): void {
    if (this.isOver()) return;
    if (this.state === 'open') {
      this.ports.releasePlace();
      this.ports.metrics.openDimseAssociations.dec();
    }
    this.state = 'over';
    this.store?.cut();
    this.scp.close();
    this.socket.end();
    const lingering = setTimeout(() => this.socket.destroy(), this.ports.limits.lingerMs);
    this.socket.once('close', () => { clearTimeout(lingering); });
  }

  private send(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  private async take(pdu: Buffer): Promise<void> {
    const type = pdu.readUInt8(0);
    if (type === PDU.abort) {
      this.end();
      return;
    }
    if (this.state === 'awaiting-request') {
      if (type !== PDU.associateRequest) throw new ProtocolError(ABORT_REASON.unexpectedPdu, 'A PDU before the association request');
      return this.negotiate(pdu);
    }
    if (type === PDU.data) {
      for (const pdv of pdvsOf(pdu)) {
        if (this.isOver()) return;
        await this.takeFragment(pdv);
      }
      return;
    }
    if (type !== PDU.releaseRequest || this.message) throw new ProtocolError(ABORT_REASON.unexpectedPdu, 'A PDU out of turn');
    this.scp.hear(pdu);
    this.end();
  }

  private async negotiate(pdu: Buffer): Promise<void> {
    const request = readAssociationRequest(pdu);
    if (typeof request === 'string') {
      this.reject(request);
      return;
    }
    const heard = this.scp.hear(request);
    if (heard?.kind !== 'association') throw new ProtocolError(ABORT_REASON.invalidParameter, 'An association request that cannot be read');
    const refusal = await this.caller.admit(heard).catch((err: unknown): RejectionCause => {
      this.ports.logger.error({ err }, 'DIMSE callers cannot be read');
      return 'temporary-congestion';
    });
    if (this.isOver()) return;
    const cause = refusal ?? (this.ports.takePlace() ? undefined : 'too-many-associations');
    if (cause !== undefined) {
      this.reject(cause);
      return;
    }
    this.state = 'open';
    this.ports.metrics.openDimseAssociations.inc();
    this.count('accepted');
    for (const context of this.scp.accept(negotiateContext)) this.contexts.set(context.id, context);
    this.quietSince = performance.now();
  }

  private reject(cause: RejectionCause): void {
    this.scp.reject(cause);
    this.count(cause);
    this.ports.logger.warn({ ...this.peer(), calledAeTitle: printable(this.caller.calledAeTitle), cause }, 'DIMSE association rejected');
    this.end();
  }

  private async takeFragment(pdv: Pdv): Promise<void> {
    if (!this.contexts.has(pdv.contextId)) throw new ProtocolError(ABORT_REASON.invalidParameter, 'A fragment of no accepted presentation context');
    this.message ??= { contextId: pdv.contextId, command: [], hasDataSet: false };
    const { message } = this;
    if (pdv.contextId !== message.contextId || pdv.isCommand === message.hasDataSet) throw new ProtocolError(ABORT_REASON.unexpectedParameter, 'A fragment out of turn');
    await (pdv.isCommand ? this.takeCommand(pdv, message) : this.takeDataSet(pdv));
  }

  private async takeCommand(pdv: Pdv, message: Message): Promise<void> {
    message.command.push(pdv.value);
    const command = Buffer.concat(message.command);
    if (command.length > MOST_COMMAND_BYTES || message.command.length > MOST_COMMAND_FRAGMENTS) throw new ProtocolError(ABORT_REASON.invalidParameter, 'A command is too long');
    if (!pdv.isLast) return;
    const heard = this.scp.hear(dataPdu({ ...pdv, value: readCommandSet(command) }));
    if (heard) return this.answer(heard);
    // What the library keeps for itself waits for its data set.
    message.hasDataSet = true;
  }

  private async takeDataSet(pdv: Pdv): Promise<void> {
    const heard = this.scp.hear(dataPdu(pdv));
    const { store } = this;
    if (!store || (pdv.isLast && heard?.kind !== 'store')) throw new ProtocolError(ABORT_REASON.unexpectedParameter, 'A data set that no C-STORE announced');
    if (!heard) return store.ready();
    return this.answer(heard);
  }

  private async answer(heard: Heard): Promise<void> {
    if (heard.kind !== 'echo' && heard.kind !== 'store') throw new ProtocolError(ABORT_REASON.invalidParameter, 'A command that cannot be read');
    if (heard.kind === 'echo') {
      heard.answer();
      this.countRequest('C-ECHO', STATUS.success);
    } else {
      const answer: StoreAnswer = this.store ? await this.store.answer : { status: STATUS.cannotUnderstand, comment: 'The data set is missing' };
      if (this.isOver()) return;
      heard.answer(answer);
      this.countRequest('C-STORE', answer.status);
      if (answer.status !== STATUS.success) this.ports.logger.warn({ status: hex(answer.status), reason: answer.comment, ...this.peer() }, 'C-STORE refused');
    }
    this.store = undefined;
    this.message = undefined;
    this.quietSince = performance.now();
  }

  private beginStore(command: StoreCommand): StoreOperation['sink'] {
    const { ports, message, caller } = this;
    const context = message && this.contexts.get(message.contextId);
    if (!context) throw new ProtocolError(ABORT_REASON.unexpectedPdu, 'A data set before the association');
    this.store = new StoreOperation(
      { ...command, ...context, sourceApplicationEntityTitle: caller.aeTitle, maxObjectBytes: ports.maxObjectBytes },
      {
        ingest: (source, target) => ports.ingest(source, target, this.peer()),
        institutionId: () => caller.institutionId(),
        failed: (error) => {
          if (!(error instanceof AppError) || error.status >= 500) ports.logger.error({ err: error }, 'C-STORE failed');
        },
      },
    );
    return this.store.sink;
  }

  private fail(error: unknown): void {
    const { logger } = this.ports;
    if (this.isOver()) return;
    if (error instanceof ProtocolError) {
      // Port scanners come here too, so it is no warning before an association.
      logger[this.state === 'open' ? 'warn' : 'info']({ ...this.peer(), reason: error.message }, 'DIMSE protocol error');
      if (this.state === 'awaiting-request') this.count('malformed');
      this.abort(error.reason);
    } else if (error instanceof SilentPeer) {
      logger.info({ ...this.peer(), state: this.state }, 'DIMSE peer is silent');
      if (this.state === 'awaiting-request') this.count('silent');
      this.abort();
    } else if (isOfTheConnection(error)) {
      if (this.state === 'open') logger.info(this.peer(), 'DIMSE connection lost');
    } else {
      logger.error({ err: error }, 'DIMSE association failed');
      this.abort();
    }
  }

  /** For the log, and the audit trail. */
  private peer(): { address: string | undefined; callingAeTitle: string } {
    return { address: this.address, callingAeTitle: printable(this.caller.aeTitle) };
  }

  private count(outcome: string): void {
    this.ports.metrics.dimseAssociations.inc({ outcome });
  }

  private countRequest(operation: string, status: number): void {
    this.ports.metrics.dimseRequests.inc({ operation, status: hex(status) });
  }
}

function isOfTheConnection(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof Error && 'syscall' in error) || (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE');
}

/** What strangers send as an AE title need not be text. */
function printable(title: string): string {
  return title.replace(/[^\x20-\x7e]/g, '?');
}

function hex(status: number): string {
  return `0x${status.toString(16).toUpperCase().padStart(4, '0')}`;
}
