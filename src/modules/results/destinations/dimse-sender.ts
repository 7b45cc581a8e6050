import dimse from 'dcmjs-dimse';
import type { Socket } from 'node:net';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../../../imaging/dicom/implementation.js';
import { NotSent, type DestinationTarget, type Parcel, type SendFailure } from './destination.js';
import { isThereAlready, mayPass, reasonsText } from './failure-reason.js';

type DimseTarget = Extract<DestinationTarget, { kind: 'dimse' }>;

dimse.Implementation.setImplementationClassUid(IMPLEMENTATION_CLASS_UID);
dimse.Implementation.setImplementationVersion(IMPLEMENTATION_VERSION_NAME);
// It would write every association to the console.
dimse.log.disableAll();

/** C-STORE statuses that say: stored. @see PS3.4 Table B.2-1 */
const STORED: ReadonlySet<number> = new Set([0x0000, 0xb000, 0xb006, 0xb007]);
/** How long a connection may take to close. */
const CLOSING_MS = 5_000;

/**
 * An object whose bytes go out as they are; only for a peer that takes implicit VR alone the library reads and writes them. The library's own transcoding
 * wants pixels, so it never learns that there is something to transcode: the object says that it is in whatever syntax was accepted.
 */
class Verbatim extends dimse.Dataset {
  constructor(
    private readonly parcel: Parcel,
    private readonly accepted: (sopClassUid: string) => string | undefined,
  ) {
    super({ SOPClassUID: parcel.sopClassUid, SOPInstanceUID: parcel.sopInstanceUid }, parcel.transferSyntaxUid);
  }

  override getTransferSyntaxUid(): string {
    return this.accepted(this.parcel.sopClassUid) ?? this.parcel.transferSyntaxUid;
  }

  override getDenaturalizedDataset(): Buffer {
    const { bytes: { buffer, byteOffset, byteLength }, dataSetOffset, transferSyntaxUid } = this.parcel;
    const dataSet = Buffer.from(buffer, byteOffset + dataSetOffset, byteLength - dataSetOffset);
    const wanted = this.getTransferSyntaxUid();
    if (wanted === transferSyntaxUid) return dataSet;
    return new dimse.Dataset(new dimse.Dataset(dataSet, transferSyntaxUid).getElements(), wanted).getDenaturalizedDataset();
  }
}

/** No documented method says what was negotiated when a data set is asked for, or closes a connection at once. */
type Inside = { network?: { socket?: Socket; association?: InstanceType<typeof dimse.association.Association> } };

function acceptedSyntax(client: InstanceType<typeof dimse.Client>, sopClassUid: string): string | undefined {
  const contexts = (client as unknown as Inside).network?.association?.getPresentationContexts() ?? [];
  const agreed = contexts.map(({ context }) => context).find((context) => context.getAbstractSyntaxUid() === sopClassUid && context.getResult() === dimse.constants.PresentationContextResult.Accept);
  return agreed?.getAcceptedTransferSyntaxUid();
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
    const request = new dimse.requests.CStoreRequest(new Verbatim(parcel, (sopClassUid) => acceptedSyntax(client, sopClassUid)));
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
  const refused = statuses.filter((status) => !STORED.has(status) && !isThereAlready(status));
  if (failure && (waiting.size > 0 || refused.length > 0)) throw new NotSent(failure);
  if (refused.length > 0) throw new NotSent({ code: refused.some(mayPass) ? 'busy' : 'refused', detail: `C-STORE status ${reasonsText(refused)}`, again: refused.some(mayPass) });
  if (waiting.size > 0) throw new NotSent({ code: 'class-not-accepted', detail: 'The PACS does not take objects of this SOP Class', again: false });
}

/** A peer that hangs would keep the connection for ever. */
function close(client: InstanceType<typeof dimse.Client>): void {
  const { network } = client as unknown as Inside;
  network?.socket?.destroySoon();
  setTimeout(() => network?.socket?.destroy(), CLOSING_MS).unref();
}
