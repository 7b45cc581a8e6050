import type { FastifyRequest } from 'fastify';

/** What the audit event of a request says beside what every request tells by itself. Never PHI: ids only. */
export interface AuditNote {
  /** Ids of ours, of patients whose data were shown or changed. */
  patientIds?: readonly string[];
  studyInstanceUids?: readonly string[];
  /** What the request was about, where it is neither: an id. */
  object?: string;
  purpose?: string;
  /** In the caller's words, where a reason had to be given. */
  reason?: string;
  details?: Readonly<Record<string, string | number | boolean | null>>;
  /** Whose affair a request is that came without authentication and stayed so: of the account or client that was tried. */
  institutionId?: string;
  /** The code of a refusal that the answer, which only leads on, does not tell. */
  refusal?: string;
  /** Who it turned out to be, where the request came without authentication: a sign-in. */
  actor?: { kind: 'user' | 'client'; id: string; role: string; institutionId: string };
}

const NOTE = Symbol('audit note');
type NotedRequest = FastifyRequest & { [NOTE]?: AuditNote };

/** Adds to the audit event of a request, which is written before the answer leaves. Lists grow, the rest is replaced. */
export function noteForAudit(request: FastifyRequest, note: AuditNote): void {
  const known = auditNoteOf(request);
  (request as NotedRequest)[NOTE] = {
    ...known, ...note,
    patientIds: [...(known.patientIds ?? []), ...(note.patientIds ?? [])],
    studyInstanceUids: [...(known.studyInstanceUids ?? []), ...(note.studyInstanceUids ?? [])],
    details: { ...known.details, ...note.details },
  };
}

export function auditNoteOf(request: FastifyRequest): AuditNote {
  return (request as NotedRequest)[NOTE] ?? {};
}
