import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import type { AuthenticatedRequest } from '../http/access.js';
import { callerAddress } from '../limits/caller-address.js';
import { WINDOW_MS } from '../limits/window-store.js';
import { INSTALLATION, type AuditDraft, type Outcome } from './audit-event.js';
import { auditNoteOf, noteForAudit } from './audit-note.js';
import type { AuditWriter } from './audit-writer.js';
import { FirstOfWindow } from './first-of-window.js';

/** Ids in a path may be anything that somebody typed; what does not look like one is not kept. */
const ID_PATTERN = /^[\w.:@+-]{1,128}$/;
const STUDY_PARAMETERS = ['study', 'studyInstanceUid'];

/** Refusals for too many requests: the first of a caller in this time is put on record, the others are counted in `healthvision_rate_limited_total`. */
const LIMITED = new FirstOfWindow(WINDOW_MS);

const TRAIL = Symbol('audit trail');
/** On the request itself: what a WeakMap holds lives until a full collection when it refers back to its key, and this one does. */
type TrailedRequest = FastifyRequest & { [TRAIL]?: RequestTrail };

/** Puts one request on record: what is attempted before it is done, how it ended before the answer leaves. */
export class RequestTrail {
  private isRecorded = false;
  private isAttempted = false;

  private constructor(
    private readonly request: AuthenticatedRequest,
    private readonly writer: AuditWriter,
    private readonly action: string,
  ) {}

  static begin(request: FastifyRequest, writer: AuditWriter, action: string): void {
    (request as TrailedRequest)[TRAIL] = new RequestTrail(request, writer, action);
  }

  /** undefined for requests that are not put on record. */
  static of(request: FastifyRequest): RequestTrail | undefined {
    return (request as TrailedRequest)[TRAIL];
  }

  /** @throws AppError `audit-unavailable`: then nothing may be done */
  async attempt(): Promise<void> {
    this.isAttempted = true;
    const { patientIds } = await this.writer.write(this.draft('attempted', null, null));
    // A study that the request deletes has no patient afterwards.
    if (patientIds.length > 0) noteForAudit(this.request, { patientIds });
  }

  /** Once for an answer. @throws AppError `audit-unavailable`: then nothing may be sent */
  async answer(status: number, code?: string): Promise<void> {
    if (this.isRecorded) return;
    this.isRecorded = true;
    const { refusal } = auditNoteOf(this.request);
    // What was attempted has its outcome on record, whatever that is. A flood of the rest would be a flood of events.
    const limited = status === 429 && !this.isAttempted ? this.caller() : undefined;
    if (limited !== undefined && !LIMITED.isFirst(limited)) return;
    try {
      await this.writer.write(this.draft(refusal === undefined ? outcomeOf(status, code) : 'refused', status, code ?? refusal ?? null));
    } catch (error) {
      if (limited !== undefined) LIMITED.forget(limited);
      throw error;
    }
  }

  /** After an answer that could not be put on record was withdrawn, or an event stream broke: the next one is recorded too. */
  reopen(): void {
    this.isRecorded = false;
  }

  /** Who is held back by a limit: a principal, else an address. */
  private caller(): string {
    const { principal, ip, socket } = this.request;
    return principal ? `${principal.institutionId} ${principal.id}` : callerAddress(ip, socket.remoteAddress);
  }

  /** One literal with every field: an object put together from others costs a kilobyte for each request. */
  private draft(outcome: Outcome, status: number | null, code: string | null): AuditDraft {
    const { request } = this;
    const { principal } = request;
    const note = auditNoteOf(request);
    const { actor } = note;
    // Fastify types the parameters as unknown; they are texts by name.
    const parameters = (request.params ?? {}) as Record<string, string | undefined>;
    const studies = STUDY_PARAMETERS.flatMap((name) => parameters[name] ?? []);
    const crossing = principal?.crossing;
    const details: Record<string, string | number | boolean | null> = { route: `${request.method} ${request.routeOptions.url ?? ''}` };
    if (crossing) details.fromInstitutionId = crossing.fromInstitutionId;
    if (note.details) Object.assign(details, note.details);
    return {
      institutionId: principal?.institutionId ?? actor?.institutionId ?? note.institutionId ?? INSTALLATION,
      actorKind: principal?.kind ?? actor?.kind ?? 'anonymous',
      actorId: principal?.id ?? actor?.id ?? null,
      userId: principal ? principal.userId : (actor?.id ?? null),
      role: principal?.role ?? actor?.role ?? null,
      source: request.ip,
      action: this.action,
      outcome,
      status,
      code,
      patientIds: note.patientIds ?? [],
      studyInstanceUids: note.studyInstanceUids ? [...studies, ...note.studyInstanceUids] : studies,
      object: note.object ?? objectOf(parameters) ?? null,
      purpose: note.purpose ?? (crossing ? 'support' : null),
      reason: note.reason ?? crossing?.reason ?? null,
      requestId: request.id,
      details,
    };
  }
}

/**
 * Puts the answer on record that is about to leave past the framework's own sending; handlers that answer through it need not.
 * @throws AppError `audit-unavailable`
 */
export async function recordAnswer(request: FastifyRequest, status: number): Promise<void> {
  await RequestTrail.of(request)?.answer(status);
}

/** The code in the body of a problem, or of an OAuth error. */
export function codeOf(payload: unknown): string | undefined {
  if (typeof payload !== 'string' || payload.length > 20_000) return undefined;
  try {
    const body = JSON.parse(payload) as { code?: unknown; error?: unknown; issue?: { details?: { coding?: { code?: unknown }[] } }[] } | null;
    // The last is FHIR's OperationOutcome.
    const code = body?.code ?? body?.error ?? body?.issue?.[0]?.details?.coding?.[0]?.code;
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Takes back what would have been sent. */
export function withdraw(reply: FastifyReply, payload: unknown): void {
  if (typeof payload === 'object' && payload !== null && 'destroy' in payload && typeof payload.destroy === 'function') (payload.destroy as () => void).call(payload);
  for (const name of ['content-length', 'content-encoding', 'content-range', 'content-disposition', 'etag', 'last-modified', 'location', 'link', 'set-cookie', 'warning', 'idempotency-replayed']) void reply.removeHeader(name);
}

export function asUnavailable(error: unknown): AppError {
  return error instanceof AppError && error.code === 'audit-unavailable' ? error : new AppError('audit-unavailable', { cause: error, retryAfterSeconds: 2 });
}

/** The most specific id of the path that is no study: `:id`, or a name and its version. */
function objectOf(parameters: Record<string, string | undefined>): string | undefined {
  const parts = Object.entries(parameters).filter(([name]) => !STUDY_PARAMETERS.includes(name)).flatMap(([, value]) => (value !== undefined && ID_PATTERN.test(value) ? [value] : []));
  return parts.length === 0 ? undefined : parts.join('/').slice(0, 512);
}

/** What a foreign or absent thing answers is a refusal: whoever tries ids shall be seen. */
function outcomeOf(status: number, code: string | undefined): Outcome {
  if (status < 400) return 'succeeded';
  if ([401, 403, 404, 410, 423, 429].includes(status)) return 'refused';
  return status === 400 && (code === 'invalid_grant' || code === 'invalid_client' || code === 'unauthorized_client') ? 'refused' : 'failed';
}
