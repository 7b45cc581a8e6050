import { Inject, Injectable } from '@nestjs/common';
import { dataSetStart } from '../../../imaging/dicom/file-meta.js';
import { parseInstanceBytes } from '../../../imaging/dicom/header.js';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { AllowedHosts } from '../../../platform/http/public-address.js';
import { DerivedInstances, StudyReader } from '../../images/images.contract.js';
import { ResultsStore } from '../results.store.js';
import type { Delivery } from './deliveries.store.js';
import { checkedAddress } from './checked-address.js';
import { authorizationContext, NotSent, type Destination, type Parcel } from './destination.js';
import { Hl7Messages } from './hl7-messages.service.js';
import { sendByMllp } from './mllp-sender.js';
import { storeByStow } from './stow-sender.js';

/** Sends the objects of a result, or the message that tells of it, by what the destination understands. */
@Injectable()
export class Sender {
  /** For tests, which have less time. */
  timeoutMs = 60_000;
  private readonly allowed: AllowedHosts;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly results: ResultsStore,
    private readonly instances: DerivedInstances,
    private readonly studies: StudyReader,
    private readonly vault: KeyVault,
    private readonly messages: Hl7Messages,
  ) {
    this.allowed = new AllowedHosts(config.ALLOWED_PRIVATE_HOSTS);
  }

  /** @throws NotSent; AppError of the database and the blob store */
  async send({ id, institutionId, target, sealedAuthorization }: Destination, delivery: Delivery, signal: AbortSignal): Promise<void> {
    if (target.kind === 'hl7') {
      const message = await this.messages.of(target, delivery);
      return sendByMllp(target, await checkedAddress(target.host, this.allowed, { encrypted: target.tls }), message, { timeoutMs: this.timeoutMs, signal });
    }
    const parcels = await this.parcelsOf(delivery);
    if (target.kind === 'stow') {
      const authorization = sealedAuthorization && (await this.vault.keyOfInstitution(institutionId)).open(sealedAuthorization, authorizationContext(id)).toString('utf8');
      return storeByStow(target, authorization, parcels, { allowed: this.allowed, timeoutMs: this.timeoutMs });
    }
    const address = await checkedAddress(target.host, this.allowed, { encrypted: false });
    // The library takes 30 MB, which those who do not use it shall not pay for.
    const { storeByDimse } = await import('./dimse-sender.js');
    return storeByDimse({ ...target, host: address }, parcels, { timeoutMs: this.timeoutMs, signal });
  }

  private async parcelsOf({ institutionId, resultId, version }: Delivery): Promise<Parcel[]> {
    const record = await this.results.find(institutionId, resultId);
    const objects = record && record.status !== 'withheld' ? record.objects.filter((one) => one.version === version) : [];
    const parcels = await Promise.all(objects.map(({ sopInstanceUid }) => this.parcelOf(institutionId, sopInstanceUid)));
    if (parcels.length === 0) throw missing();
    return parcels;
  }

  private async parcelOf(institutionId: string, sopInstanceUid: string): Promise<Parcel> {
    const object = await this.instances.find(institutionId, sopInstanceUid);
    if (!object) throw missing();
    const bytes = await this.studies.readInstance(object.blobKey).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'blob-missing') throw missing();
      throw error;
    });
    const { meta, sopClassUid } = parseInstanceBytes(bytes);
    return { sopClassUid, sopInstanceUid, transferSyntaxUid: meta.transferSyntaxUid, bytes, dataSetOffset: startOf(bytes) };
  }
}

function startOf(bytes: Uint8Array): number {
  const parser = dataSetStart(bytes.length);
  let step = parser.next();
  while (step.done !== true) step = parser.next(bytes.subarray(step.value.offset, step.value.offset + step.value.length));
  return step.value;
}

function missing(): NotSent {
  return new NotSent({ code: 'object-missing', detail: 'The objects of this version are not there any more', again: false });
}
