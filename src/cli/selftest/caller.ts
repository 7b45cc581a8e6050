import { rootCertificates } from 'node:tls';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { CommandError } from '../failure.js';
import { StepFailure } from './checklist.js';

export interface CallOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  /** The permission that the route asks for; undefined for routes that are open to everybody. */
  scope?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  /** Statuses beside 200 to 299 that are an answer, too. */
  accept?: readonly number[];
}

export interface Answer {
  status: number;
  contentType: string;
  bytes: Uint8Array;
  requestId: string;
}

/** Gives the headers that prove who calls. */
export type Authorize = () => Promise<Readonly<Record<string, string>>>;

const problemSchema = z.object({ code: z.string(), title: z.string(), detail: z.string().optional() });
const oauthSchema = z.object({ error: z.string(), error_description: z.string().optional() });
/** Connections are not kept for long: a self-test may wait for minutes between two calls. */
const KEEP_ALIVE_MS = 2_000;

/** An installation as the self-test speaks with it: every call has an id of its own, a time limit, and says what it needs. */
export class Caller {
  /** Ids of the requests that were to change something, and were answered. */
  readonly changes: string[] = [];
  authorize: Authorize | undefined;
  private readonly agent: Agent;
  private count = 0;

  /**
   * @param id  begins every request id
   * @param ca  PEM of a certificate authority, beside the public ones
   */
  constructor(
    readonly base: string,
    private readonly id: string,
    private readonly timeoutMs: number,
    readonly ca?: string,
  ) {
    this.agent = new Agent({
      keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: timeoutMs, bodyTimeout: timeoutMs,
      connect: { timeout: Math.min(timeoutMs, 10_000), ...(ca !== undefined && { ca: [...rootCertificates, ca] }) },
    });
  }

  /** @throws CommandError with the code of the problem; StepFailure that names the permission for 403 */
  async call(path: string, { method = 'GET', scope, headers = {}, body, accept = [] }: CallOptions = {}): Promise<Answer> {
    const proof = scope === undefined || !this.authorize ? {} : await this.authorize();
    const requestId = `${this.id}-${String(++this.count).padStart(4, '0')}`;
    const answer = await this.send(path, { method, headers: { 'x-request-id': requestId, ...proof, ...headers }, body: body ?? null });
    if (scope !== undefined && method !== 'GET') this.changes.push(requestId);
    if ((answer.status >= 200 && answer.status < 300) || accept.includes(answer.status)) return { ...answer, requestId };
    throw problemOf(answer, scope);
  }

  async json<T>(path: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const { bytes } = await this.call(path, options);
    const parsed = schema.safeParse(parseJson(bytes));
    if (!parsed.success) throw new CommandError('unexpected-answer', `${options.method ?? 'GET'} ${path} did not answer with what was asked for: ${parsed.error.issues.map(({ path: at, message }) => `/${at.join('/')} ${message}`).join('; ')}`);
    return parsed.data;
  }

  post<T>(path: string, schema: z.ZodType<T>, scope: string, body: object): Promise<T> {
    return this.json(path, schema, { method: 'POST', scope, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  }

  close(): Promise<void> {
    return this.agent.close();
  }

  private async send(path: string, { method, headers, body }: { method: 'GET' | 'POST' | 'DELETE'; headers: Readonly<Record<string, string>>; body: string | Uint8Array | null }): Promise<Omit<Answer, 'requestId'>> {
    try {
      const response = await request(`${this.base}${path}`, { dispatcher: this.agent, method, headers, body, signal: AbortSignal.timeout(this.timeoutMs) });
      const bytes = new Uint8Array(await response.body.arrayBuffer());
      return { status: response.statusCode, contentType: String(response.headers['content-type'] ?? ''), bytes };
    } catch (error) {
      throw unreachable(this.base, error);
    }
  }
}

function unreachable(base: string, error: unknown): CommandError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : '';
  if (/CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|ERR_SSL/.test(code)) {
    return new StepFailure('tls-refused', `The certificate of ${base} is not trusted or not its own (${code}).`, 'Give the certificate authority with --ca-file, and use a host name that the certificate holds.', { cause: error });
  }
  return new CommandError('unreachable', `${base} does not answer${code === '' ? '' : ` (${code})`}`, { cause: error });
}

function problemOf({ status, bytes }: Omit<Answer, 'requestId'>, scope: string | undefined): CommandError {
  const body = parseJson(bytes);
  const problem = problemSchema.safeParse(body);
  if (problem.success) {
    const { code, title, detail } = problem.data;
    if (code === 'forbidden' && scope !== undefined) return new StepFailure(code, `These credentials lack the scope ${scope}.`, `Give them the scope ${scope}; all that a self-test needs are in docs/operations/selftest.md.`);
    return new CommandError(code, detail ?? title);
  }
  const oauth = oauthSchema.safeParse(body);
  if (oauth.success) return new CommandError(oauth.data.error.replaceAll('_', '-'), oauth.data.error_description ?? 'The token request was refused');
  return new StepFailure('unexpected-answer', `It answered with status ${String(status)} and nothing that HealthVision says.`, 'Something else answers at this address: a proxy, or another product.');
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
