import dimse from 'dcmjs-dimse';
import type { Socket } from 'node:net';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../../../imaging/dicom/implementation.js';
import { NotSent, type DestinationTarget, type Parcel, type SendFailure } from './destination.js';
import { mayPass, reasonsText } from './failure-reason.js';

type DimseTarget = Extract<DestinationTarget, { kind: 'dimse' }>;

dimse.Implementation.setImplementationClassUid(IMPLEMENTATION_CLASS_UID);
dimse.Implementation.setImplementationVersion(IMPLEMENTATION_VERSION_NAME);
// It would write every association to the console.
dimse.log.disableAll();

/** C-STORE statuses that say: stored. @see PS3.4 Table B.2-1 */
const STORED: ReadonlySet<number> = new Set([0x0000, 0xb000, 0xb006, 0xb007]);
/** How long a connection may take to close. */
const CLOSING_MS = 5_000;

/** An object whose bytes go out as they are; only for a peer that wants another transfer syntax the library reads them. */
class Verbatim extends dimse.Dataset {
  private whole: Record<string, unknown> | undefined;

  constructor(private readonly parcel: Parcel) {
    super({ SOPClassUID: parcel.sopClassUid, SOPInstanceUID: parcel.sopInstanceUid }, parcel.transferSyntaxUid);
  }

  override getElements(): Record<string, unknown> {
    // Asked for by the constructor of the base class too.
    if (!(this.parcel as Parcel | undefined)) return super.getElements();
    this.whole ??= new dimse.Dataset(this.dataSet(), this.parcel.transferSyntaxUid).getElements();
    return this.whole;
  }

  override getDenaturalizedDataset(): Buffer {
    return this.dataSet();
  }

  private dataSet(): Buffer {
    return Buffer.from(this.parcel.bytes.buffer, this.parcel.bytes.byteOffset + this.parcel.dataSetOffset, this.parcel.bytes.byteLength - this.parcel.dataSetOffset);
  }
}

/**
 * Sends all objects in one association. @see PS3.4 Annex B
 *
 * @param target  `host` is an address
 * @throws NotSent
 */
export async function storeByDimse(target: DimseTarget, parcels: readonly Parcel[], { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
  const client = new dimse.Client();
  const waiting = new Set(parcels.map(({ sopInstanceUid }) => sopInstanceUid));
  const statuses: number[] = [];
  for (const parcel of parcels) {
    const request = new dimse.requests.CStoreRequest(new Verbatim(parcel));
    request.on('response', (response: { getStatus(): number }) => {
      waiting.delete(parcel.sopInstanceUid);
      statuses.push(response.getStatus());
    });
    client.addRequest(request);
  }
  let accepted = false;
  const failure = await new Promise<SendFailure | undefined>((resolve) => {
    const timer = setTimeout(() => { resolve({ code: 'timeout', detail: accepted ? 'The PACS did not answer in time' : 'The PACS did not answer the association request in time', again: true }); }, timeoutMs);
    const settle = (what: SendFailure | undefined): void => { clearTimeout(timer); resolve(what); };
    signal.addEventListener('abort', () => { settle({ code: 'timeout', detail: 'This process stopped', again: true }); }, { once: true });
    client.on('associationAccepted', () => { accepted = true; });
    client.on('associationRejected', () => { settle({ code: 'association-rejected', detail: 'The PACS rejected the association: it may not know the AE titles', again: true }); });
    client.on('associationReleased', () => { settle(undefined); });
    client.on('networkError', () => { settle({ code: 'unreachable', detail: accepted ? 'The connection broke' : 'No connection', again: true }); });
    client.on('closed', () => { settle(accepted ? undefined : { code: 'unreachable', detail: 'The PACS closed the connection', again: true }); });
    client.send(target.host, target.port, target.callingAeTitle, target.calledAeTitle, { connectTimeout: timeoutMs, associationTimeout: timeoutMs, pduTimeout: timeoutMs });
  });
  close(client);
  if (failure && !(waiting.size === 0 && statuses.every((status) => STORED.has(status)))) throw new NotSent(failure);
  const refused = statuses.filter((status) => !STORED.has(status));
  if (refused.length > 0) throw new NotSent({ code: refused.some(mayPass) ? 'busy' : 'refused', detail: `C-STORE status ${reasonsText(refused)}`, again: refused.some(mayPass) });
  if (waiting.size > 0) throw new NotSent({ code: 'class-not-accepted', detail: 'The PACS does not take objects of this SOP Class', again: false });
}

/** A peer that hangs would keep the connection for ever. */
function close(client: InstanceType<typeof dimse.Client>): void {
  // No documented method closes a connection at once.
  const { network } = client as unknown as { network?: { socket?: Socket } };
  network?.socket?.destroySoon();
  setTimeout(() => network?.socket?.destroy(), CLOSING_MS).unref();
}
