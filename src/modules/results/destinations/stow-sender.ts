import { AppError } from '../../../kernel/errors.js';
import { stowBody } from '../../../platform/http/stow-body.js';
import type { AllowedHosts } from '../../../platform/http/public-address.js';
import { safeFetch } from '../../../platform/http/safe-fetch.js';
import { NotSent, type DestinationTarget, type Parcel, type SendFailure } from './destination.js';
import { isThereAlready, mayPass, reasonsText } from './failure-reason.js';

/** Answers that the next try would get too. */
const FOR_GOOD: ReadonlySet<number> = new Set([400, 405, 406, 409, 410, 411, 413, 414, 415, 422]);

const FAILED_SOP_SEQUENCE = '00081198';
const FAILURE_REASON = '00081197';

type Answer = Record<string, { Value?: Record<string, { Value?: unknown[] } | undefined>[] } | undefined>;

/**
 * Sends all objects in one request. @see PS3.18 §10.5
 *
 * @param authorization  what the server wants in the header of that name
 * @throws NotSent
 */
export async function storeByStow({ url }: Extract<DestinationTarget, { kind: 'stow' }>, authorization: string | null, parcels: readonly Parcel[], { allowed, timeoutMs }: { allowed: AllowedHosts; timeoutMs: number }): Promise<void> {
  const { body, contentType } = stowBody(parcels);
  const answer = await safeFetch(`${url.replace(/\/+$/, '')}/studies`, {
    method: 'POST', body, allowed, timeoutMs,
    headers: { 'content-type': contentType, 'accept': 'application/dicom+json', ...(authorization !== null && { authorization }) },
  }).catch((error: unknown) => { throw new NotSent(failureOf(error)); });
  const reasons = reasonsIn(await answer.text());
  const refused = reasons.filter((reason) => !isThereAlready(reason));
  if (refused.length > 0) throw new NotSent(refusedFor(refused));
  // What failed was there before, and the others were stored.
  if (reasons.length > 0) return;
  if (!answer.ok) throw new NotSent({ code: isBusy(answer.status) ? 'busy' : 'refused', detail: `HTTP ${String(answer.status)}`, again: !FOR_GOOD.has(answer.status) });
}

function isBusy(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function failureOf(error: unknown): SendFailure {
  if (error instanceof AppError && error.code === 'url-not-allowed') return { code: 'not-allowed', detail: error.detail ?? '', again: false };
  for (let current = error, depth = 0; current instanceof Error && depth < 6; current = current.cause, depth++) {
    if (current.name.includes('Timeout')) return { code: 'timeout', detail: 'The server did not answer in time', again: true };
  }
  return { code: 'unreachable', detail: 'The server gave no usable answer', again: true };
}

/** Failure Reasons of what was not stored. A body that is no DICOM JSON tells none. */
function reasonsIn(body: string): number[] {
  try {
    const parsed = JSON.parse(body) as Answer | Answer[] | null;
    const [data] = [parsed].flat();
    return (data?.[FAILED_SOP_SEQUENCE]?.Value ?? []).map((item) => Number(item[FAILURE_REASON]?.Value?.[0] ?? 0x0110));
  } catch {
    return [];
  }
}

function refusedFor(reasons: readonly number[]): SendFailure {
  const detail = `STOW-RS Failure Reason ${reasonsText(reasons)}`;
  return reasons.some(mayPass) ? { code: 'busy', detail, again: true } : { code: 'refused', detail, again: false };
}
