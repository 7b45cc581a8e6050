import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { ErrorCode } from '../../kernel/errors.js';
import type { Fate } from './fate.js';

/** Failure Reason (0008,1197). @see PS3.18 Annex I.2, PS3.7 Annex C */
const FAILURE_REASONS: Partial<Record<ErrorCode, number>> = {
  'wrong-study': 0xa900,
  'instance-conflict': 0x0111,
  'unsupported-transfer-syntax': 0xc122,
  'storage-full': 0xa700,
  'empty-file': 0xc000,
  'not-dicom': 0xc000,
  'truncated-file': 0xc000,
  'invalid-dicom': 0xc000,
  'missing-uid': 0xc000,
  'missing-sop-class': 0xc000,
  'archive-bomb': 0xc000,
  'unsupported-media-type': 0xc000,
};
const PROCESSING_FAILURE = 0x0110;

/** Error Comment is a Long String: 64 characters. */
const COMMENT_LENGTH = 64;

export interface StowResponse {
  status: 200 | 202 | 409;
  body: DicomJson;
}

/** `host`, `host:port`, `[IPv6]:port`. RFC 3986 §3.2.2 without what no name of a server holds */
const HOST_PATTERN = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/**
 * Where the studies lie, for Retrieve URLs. Clients keep these, so nothing but a host may come from the request's headers;
 * without one the URL is relative to the request's.
 *
 * @param publicUrl  wins when it is set
 */
export function studiesUrlOf({ publicUrl, protocol, host }: { publicUrl: string | undefined; protocol: string; host: string }): string {
  const origin = HOST_PATTERN.test(host) ? `${protocol === 'https' ? 'https' : 'http'}://${host}` : '';
  return `${publicUrl ?? origin}/dicom-web/studies`;
}

/**
 * The Store Instances Response Module.
 *
 * @param fates  at least one, in the order of the parts
 * @param studiesUrl  `https://host/dicom-web/studies`
 * @see PS3.18 §10.5.3 and Annex I
 */
export function stowResponse(fates: readonly Fate[], studiesUrl: string): StowResponse {
  const kept = fates.filter((fate) => fate.status !== 'refused');
  const failed = fates.filter((fate) => fate.status === 'refused');
  const studies = new Set(kept.map(({ studyInstanceUid }) => studyInstanceUid));
  const [study] = studies;
  return {
    status: failed.length === 0 ? 200 : kept.length > 0 ? 202 : 409,
    body: {
      ...(studies.size === 1 && study !== undefined && { '00081190': { vr: 'UR', Value: [`${studiesUrl}/${study}`] } }),
      ...(failed.length > 0 && { '00081198': { vr: 'SQ', Value: failed.map(failedItem) } }),
      ...(kept.length > 0 && {
        '00081199': {
          vr: 'SQ',
          Value: kept.map(({ studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid }) => ({
            '00081150': { vr: 'UI', Value: [sopClassUid] },
            '00081155': { vr: 'UI', Value: [sopInstanceUid] },
            '00081190': { vr: 'UR', Value: [`${studiesUrl}/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`] },
          })),
        },
      }),
    },
  };
}

/** A part whose header could not be read has no UIDs to refer to; its item still says why. */
function failedItem(fate: Extract<Fate, { status: 'refused' }>): DicomJson {
  return {
    ...(fate.sopClassUid !== undefined && { '00081150': { vr: 'UI', Value: [fate.sopClassUid] } }),
    ...(fate.sopInstanceUid !== undefined && { '00081155': { vr: 'UI', Value: [fate.sopInstanceUid] } }),
    '00081197': { vr: 'US', Value: [FAILURE_REASONS[fate.code] ?? PROCESSING_FAILURE] },
    // Failed Attributes Sequence with an Error Comment: a reason that a person can read beside the number.
    '00741048': { vr: 'SQ', Value: [{ '00000902': { vr: 'LO', Value: [(fate.detail === undefined ? fate.code : `${fate.code}: ${fate.detail}`).slice(0, COMMENT_LENGTH)] } }] },
  };
}
