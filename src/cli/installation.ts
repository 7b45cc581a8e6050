import { Option, type Command } from 'commander';
import { z } from 'zod';
import { labelSchema, findingSchema, segmentSchema, summarySchema, provenanceSchema } from '../imaging/report/finding.js';
import { CommandError } from './failure.js';
import { serverEvents } from './event-stream.js';

const fateSchema = z.object({
  file: z.string(), status: z.enum(['stored', 'duplicate', 'refused']), studyInstanceUid: z.string().optional(), seriesInstanceUid: z.string().optional(),
  sopInstanceUid: z.string().optional(), code: z.string().optional(), detail: z.string().optional(),
});
export type FileFate = z.infer<typeof fateSchema>;

const runSchema = z.object({
  id: z.string(), analysis: z.string(), studyInstanceUid: z.string().optional(), status: z.enum(['queued', 'running', 'succeeded', 'not-analysable', 'failed', 'cancelled']),
  progress: z.number(), stage: z.string(), model: z.object({ name: z.string(), version: z.string(), digest: z.string() }),
  timings: z.record(z.string(), z.number()).nullish(), resultId: z.string().nullish(), reason: z.object({ code: z.string(), detail: z.string().nullish() }).nullish(),
});
export type Run = z.infer<typeof runSchema>;

const resultSchema = z.object({
  id: z.string(), analysisId: z.string(), analysis: z.string(), studyInstanceUid: z.string(), status: z.string(), summary: summarySchema, warnings: z.array(z.object({ code: z.string(), text: z.string() })).optional(), findings: z.array(findingSchema),
  labels: z.array(labelSchema), segments: z.array(segmentSchema), provenance: provenanceSchema, disclaimer: z.string(),
});
export type AnalysisResult = z.infer<typeof resultSchema>;

const progressSchema = z.object({ status: runSchema.shape.status.optional(), progress: z.number().optional(), stage: z.string().optional() });
const problemSchema = z.object({ code: z.string(), title: z.string(), detail: z.string().optional() });

export interface UploadFile {
  name: string;
  content: Blob;
}

/** How a command reaches a running installation. */
export interface ConnectionOptions {
  url: string;
  token?: string;
  apiKey?: string;
}

export function withConnection(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'the installation').env('HEALTHVISION_URL').default('http://127.0.0.1:8080'))
    .addOption(new Option('--token <jwt>', 'access token').env('HEALTHVISION_TOKEN'))
    .addOption(new Option('--api-key <key>', 'API key').env('HEALTHVISION_API_KEY'));
}

/** A running installation, spoken to over its HTTP API. */
export class Installation {
  private readonly base: string;

  constructor(private readonly options: ConnectionOptions) {
    if (!URL.canParse(options.url)) throw new CommandError('usage', `${options.url} is not a URL`);
    this.base = options.url.replace(/\/+$/, '');
  }

  get url(): string {
    return this.base;
  }

  /** Signs a person in. @returns the installation with an access token */
  static async signIn(url: string, email: string, password: string): Promise<{ installation: Installation; token: string }> {
    const body = new URLSearchParams({ grant_type: 'password', username: email, password });
    const answer = z.object({ access_token: z.string() }).parse(await new Installation({ url }).json('/oauth2/token', { method: 'POST', body }));
    return { installation: new Installation({ url, token: answer.access_token }), token: answer.access_token };
  }

  /** Uploads files in one request. @returns what became of each instance; a refused file is no error */
  async upload(files: readonly UploadFile[], fields: Readonly<Record<string, string>> = {}): Promise<FileFate[]> {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    for (const { name, content } of files) form.append('files', content, name);
    const response = await this.fetch('/api/v1/images', { method: 'POST', body: form });
    if (![201, 207, 422].includes(response.status)) throw await problem(response);
    const body: unknown = await response.json();
    const fates = z.object({ items: z.array(fateSchema) }).safeParse(body);
    if (fates.success) return fates.data.items;
    throw problemOf(body, response.status);
  }

  /** Asks for an analysis; the same request again gives the existing run. */
  async createRun(request: { analysis: string; studyInstanceUid: string; model?: string; priority?: string }): Promise<Run> {
    return runSchema.parse(await this.json('/api/v1/analyses', { method: 'POST', body: JSON.stringify(request), headers: { 'Content-Type': 'application/json' } }));
  }

  async run(id: string): Promise<Run> {
    return runSchema.parse(await this.json(`/api/v1/analyses/${id}`));
  }

  async runsOf(studyInstanceUid: string): Promise<Run[]> {
    return z.object({ items: z.array(runSchema) }).parse(await this.json(`/api/v1/analyses?studyInstanceUid=${encodeURIComponent(studyInstanceUid)}`)).items;
  }

  async result(id: string): Promise<AnalysisResult> {
    return resultSchema.parse(await this.json(`/api/v1/results/${id}`));
  }

  async preview(resultId: string): Promise<Uint8Array> {
    return this.bytes(`/api/v1/results/${resultId}/preview.png`);
  }

  /** The Segmentation of a result as DICOM. */
  async segmentation(resultId: string): Promise<Uint8Array> {
    return this.bytes(`/api/v1/results/${resultId}/seg.dcm`);
  }

  async models(): Promise<unknown> {
    return this.json('/api/v1/models');
  }

  /** Follows a run's events until it has ended; asks again where the stream breaks off. */
  async follow(id: string, tell: (progress: { progress: number; stage: string; status: string }) => void): Promise<Run> {
    for (let patience = 0; ; patience++) {
      const run = await this.run(id);
      tell(run);
      if (ENDED.has(run.status)) return run;
      if (patience > 600) throw new CommandError('time-limit', `The analysis ${id} has not ended`);
      const response = await this.fetch(`/api/v1/analyses/${id}/events`, { headers: { Accept: 'text/event-stream' } });
      if (!response.ok || !response.body) throw await problem(response);
      for await (const event of serverEvents(response.body)) {
        const seen = progressSchema.safeParse(parseJson(event.data));
        if (!seen.success) continue;
        tell({ progress: seen.data.progress ?? run.progress, stage: seen.data.stage ?? '', status: seen.data.status ?? '' });
        if (seen.data.status !== undefined && ENDED.has(seen.data.status)) break;
      }
      if (patience > 0) await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async json(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await this.fetch(path, init);
    if (!response.ok) throw await problem(response);
    return response.json();
  }

  private async bytes(path: string): Promise<Uint8Array> {
    const response = await this.fetch(path);
    if (!response.ok) throw await problem(response);
    return new Uint8Array(await response.arrayBuffer());
  }

  private async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const { token, apiKey } = this.options;
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
    else if (apiKey !== undefined) headers.set('X-API-Key', apiKey);
    try {
      return await fetch(`${this.base}${path}`, { ...init, headers });
    } catch (error) {
      throw new CommandError('unreachable', `${this.base} does not answer${causeOf(error)}`, { cause: error });
    }
  }
}

const ENDED: ReadonlySet<string> = new Set(['succeeded', 'not-analysable', 'failed', 'cancelled']);

async function problem(response: Response): Promise<CommandError> {
  return problemOf(parseJson(await response.text().catch(() => '')), response.status);
}

function problemOf(body: unknown, status: number): CommandError {
  const parsed = problemSchema.safeParse(body);
  if (parsed.success) return new CommandError(parsed.data.code, parsed.data.detail ?? parsed.data.title);
  // RFC 6749 §5.2: the token endpoint answers in its own form.
  const oauth = z.object({ error: z.string(), error_description: z.string().optional() }).safeParse(body);
  if (oauth.success) return new CommandError(oauth.data.error.replaceAll('_', '-'), oauth.data.error_description ?? 'The token request was refused');
  return new CommandError('unexpected-answer', `The installation answered with status ${String(status)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
}
