import dimse, { type association, type requests } from 'dcmjs-dimse';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../../../imaging/dicom/implementation.js';
import type { ContextResult } from './negotiation.js';
import { ANNOUNCED_PDU_BYTES, REJECTIONS, type RejectionCause } from './protocol.js';
import type { StoreAnswer } from './store-status.js';

const { PresentationContextResult } = dimse.constants;

dimse.Implementation.setImplementationClassUid(IMPLEMENTATION_CLASS_UID);
dimse.Implementation.setImplementationVersion(IMPLEMENTATION_VERSION_NAME);
dimse.Implementation.setMaxPduLength(ANNOUNCED_PDU_BYTES);
// It would write every association to the console.
dimse.log.disableAll();

/** What a PDU turned out to say. */
export type Heard =
  | { kind: 'association'; callingAeTitle: string; calledAeTitle: string }
  | { kind: 'echo'; answer(): void }
  /** The whole of a C-STORE-RQ, with its data set when `beginStore` was called for it. */
  | { kind: 'store'; answer(answer: StoreAnswer): void }
  | { kind: 'unreadable' };

/** Names the instance that a data set belongs to. */
export interface StoreCommand {
  sopClassUid: string;
  sopInstanceUid: string;
}

export interface AcceptedContext {
  id: number;
  abstractSyntaxUid: string;
  transferSyntaxUid: string;
}

export interface ScpPorts {
  /** Takes the bytes that go out. */
  send(bytes: Buffer): void;
  /** A data set begins; where its bytes shall go. `write` of the sink must answer true and be done at once. */
  beginStore(command: StoreCommand): Writable;
}

/** What the library takes for its socket. */
class Wire extends EventEmitter {
  constructor(readonly write: (bytes: Buffer) => void) {
    super();
  }

  setTimeout(): void {
    // Time is kept by the association.
  }
}

/**
 * dcmjs-dimse as the reader and writer of associations and commands. It is given whole PDUs of one fragment each, one at a
 * time, with commands in one piece, and does all its work on them before `hear` returns; framing, limits, time and order are
 * the association's.
 * Nothing but its documented methods is used, with one exception that is marked.
 */
export class StorageScp extends dimse.Scp {
  private readonly wire: Wire;
  private readonly ports: ScpPorts;
  private heard: Heard | undefined;
  private requested: association.Association | undefined;

  constructor(ports: ScpPorts) {
    const wire = new Wire((bytes) => { ports.send(bytes); });
    // The library calls nothing of a socket but what Wire has.
    super(wire as unknown as Socket);
    this.wire = wire;
    this.ports = ports;
    this.on('networkError', () => { this.heard = { kind: 'unreadable' }; });
  }

  /**
   * Gives the library a PDU.
   *
   * @returns what it says once it is complete; undefined for a fragment that others follow
   */
  hear(pdu: Buffer): Heard | undefined {
    this.heard = undefined;
    this.wire.emit('data', pdu);
    return this.heard;
  }

  /** Lets go of the library's timer. */
  close(): void {
    this.wire.emit('close');
  }

  /**
   * Accepts the association that was heard, with what `negotiate` says of each presentation context.
   *
   * @returns the contexts that were accepted
   */
  accept(negotiate: (abstractSyntaxUid: string, transferSyntaxUids: readonly string[]) => ContextResult): AcceptedContext[] {
    const { requested } = this;
    if (!requested) return [];
    const accepted: AcceptedContext[] = [];
    for (const { id, context } of requested.getPresentationContexts()) {
      const abstractSyntaxUid = context.getAbstractSyntaxUid();
      const decision = negotiate(abstractSyntaxUid, context.getTransferSyntaxUids());
      if (decision.result === 'acceptance') accepted.push({ id, abstractSyntaxUid, transferSyntaxUid: decision.transferSyntaxUid });
      if (decision.result === 'acceptance') context.setResult(PresentationContextResult.Accept, decision.transferSyntaxUid);
      else if (decision.result === 'abstract-syntax-not-supported') context.setResult(PresentationContextResult.RejectAbstractSyntaxNotSupported);
      else context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      // We send nothing, so the peer cannot be the SCP.
      if (context.getProviderRole()) context.setProviderRole(false);
    }
    // One message after the other, which is what an acceptance without the item says. PS3.7 D.3.3.3
    requested.setNegotiateAsyncOps(false);
    // The library answers with the smaller of both; the lengths of the two directions have nothing to do with each other.
    requested.setMaxPduLength(ANNOUNCED_PDU_BYTES);
    this.sendAssociationAccept();
    return accepted;
  }

  reject(cause: RejectionCause): void {
    const { result, source, reason } = REJECTIONS[cause];
    this.sendAssociationReject(result, source, reason);
  }

  override associationRequested(requested: association.Association): void {
    this.requested = requested;
    this.heard = { kind: 'association', callingAeTitle: requested.getCallingAeTitle(), calledAeTitle: requested.getCalledAeTitle() };
  }

  override associationReleaseRequested(): void {
    this.sendAssociationReleaseResponse();
  }

  override cEchoRequest(request: requests.CEchoRequest, callback: Parameters<InstanceType<typeof dimse.Scp>['cEchoRequest']>[1]): void {
    this.forgetCommand();
    this.heard = {
      kind: 'echo',
      answer: () => {
        const response = dimse.responses.CEchoResponse.fromRequest(request);
        response.setStatus(0);
        callback(response);
      },
    };
  }

  override createStoreWritableStream(_context: association.PresentationContext, request: requests.CStoreRequest): Writable {
    return this.ports.beginStore({ sopClassUid: uid(request.getAffectedSopClassUid()), sopInstanceUid: uid(request.getAffectedSopInstanceUid()) });
  }

  /** The bytes went to the ingest; the library is content with an empty data set. */
  override createDatasetFromStoreWritableStream(_writable: Writable, _context: association.PresentationContext, callback: (dataset: InstanceType<typeof dimse.Dataset>) => void): void {
    callback(new dimse.Dataset());
  }

  override cStoreRequest(request: requests.CStoreRequest, callback: Parameters<InstanceType<typeof dimse.Scp>['cStoreRequest']>[1]): void {
    this.forgetCommand();
    this.heard = {
      kind: 'store',
      answer: ({ status, comment }) => {
        const response = dimse.responses.CStoreResponse.fromRequest(request);
        response.setStatus(status);
        if (comment !== undefined) response.setErrorComment(comment);
        callback(response);
      },
    };
  }

  /** Version 0.3.3 keeps the bytes of a command without a data set, and reads the next command behind them. */
  private forgetCommand(): void {
    Reflect.set(this, 'dimseStream', undefined);
  }
}

/** What a peer sends need not be what the types say. */
function uid(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[\0 ]+$/, '') : '';
}
