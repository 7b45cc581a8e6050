import type { OruAddress } from '../../../imaging/report/hl7/oru.js';

/** An HL7 v2 receiver, and what it wants. `ca`: the only authority in PEM whose certificates count; null: the public ones. `pdf`: the report goes along. */
export interface Hl7Target extends OruAddress {
  kind: 'hl7';
  host: string;
  port: number;
  tls: boolean;
  ca: string | null;
  pdf: boolean;
}

/** Where results are sent. `authorization` stands apart: it is sealed. */
export type DestinationTarget =
  | Hl7Target
  | { kind: 'stow'; url: string }
  | { kind: 'dimse'; host: string; port: number; calledAeTitle: string; callingAeTitle: string };

/** Of an institution: its PACS or RIS. */
export interface Destination {
  id: string;
  institutionId: string;
  name: string;
  target: DestinationTarget;
  /** Opens with the institution's key only. */
  sealedAuthorization: Uint8Array | null;
  enabled: boolean;
  /** `signed`: only what somebody has signed. */
  results: 'all' | 'signed';
  createdAt: Date;
  updatedAt: Date;
}

export type DestinationDraft = Pick<Destination, 'name' | 'target' | 'sealedAuthorization' | 'enabled' | 'results'>;

/** Context of the sealed header of a destination. */
export const authorizationContext = (id: string): string => `destinations/${id}/authorization`;

/** Why something did not arrive. `again`: it may be otherwise later. Free of PHI. */
export interface SendFailure {
  code: 'unreachable' | 'timeout' | 'not-allowed' | 'association-rejected' | 'class-not-accepted' | 'busy' | 'refused' | 'object-missing' | 'bad-answer' | 'superseded';
  detail: string;
  again: boolean;
}

/** Thrown by whatever sends. */
export class NotSent extends Error {
  override readonly name = 'NotSent';

  constructor(readonly failure: SendFailure) {
    super(failure.code);
  }
}

/** An object on its way. */
export interface Parcel {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  /** Part 10. */
  bytes: Uint8Array;
  /** Where its data set begins. */
  dataSetOffset: number;
}
