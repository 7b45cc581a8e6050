import { Body, Controller, Get, HttpCode, Module, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { rmSync } from 'node:fs';
import { AppError } from '../../../src/kernel/errors.js';
import { BootstrapService, type FirstAdministrator } from '../../../src/modules/users/bootstrap.service.js';
import { UsersModule } from '../../../src/modules/users/users.module.js';
import { usersJobs, UsersWorkerModule } from '../../../src/modules/users/users.worker.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { Public, RequirePermission } from '../../../src/platform/http/access.js';
import { createHttpApp } from '../../../src/platform/http/http-app.js';
import { Idempotent } from '../../../src/platform/http/idempotency.interceptor.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { ADMIN } from '../../support/product.js';

/** What the probe's handler saw and does next. */
export const probe = { calls: 0, fail: undefined as AppError | undefined, hold: Promise.resolve() };

/** Routes that no product has: one that declares nothing, one that counts its calls. */
@Controller('probe')
class ProbeController {
  @Get('undeclared')
  undeclared(): string {
    return 'secret';
  }

  @Public()
  @Get('public')
  open(): { ok: true } {
    return { ok: true };
  }

  @RequirePermission('images:write')
  @Idempotent()
  @HttpCode(202)
  @Post('count')
  async count(@Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    probe.calls += 1;
    const call = probe.calls;
    await probe.hold;
    if (probe.fail) throw probe.fail;
    void reply.header('Location', `/probe/${String(call)}`).header('ETag', `"${String(call)}"`);
    if (call > 1_000) void reply.status(200);
    return { call, body };
  }

  @RequirePermission('images:write')
  @Idempotent({ body: false })
  @Post('upload')
  upload(): { call: number } {
    probe.calls += 1;
    return { call: probe.calls };
  }

  @RequirePermission('images:write')
  @Idempotent({ body: false, requestHeaders: ['x-length'], answerHeaders: ['x-offset'] })
  @Post('headers')
  headers(@Res({ passthrough: true }) reply: FastifyReply): void {
    probe.calls += 1;
    void reply.headers({ 'X-Offset': String(probe.calls), 'X-Other': 'x' });
  }
}

@Module({ controllers: [ProbeController] })
class ProbeModule {}

export interface House {
  url: string;
  config: Config;
  app: NestFastifyApplication;
  administrator: FirstAdministrator;
  database: OpenedDatabase;
  /** One more API process on the same database, as far as one process can be two. */
  neighbour(variables?: Record<string, string>, prepare?: (app: NestFastifyApplication, config: Config) => void): Promise<{ url: string; app: NestFastifyApplication }>;
  close(): Promise<void>;
}

/** Tests come from one address, and are wrong about passwords more often than people. */
const SIGN_IN_AT_WILL = { RATE_LIMIT_SIGN_IN: '0', RATE_LIMIT_SIGN_IN_FAILURES: '0' };

export interface HouseOptions {
  variables?: Record<string, string>;
  /** Also runs the module's jobs: e-mails are sent. */
  jobs?: boolean;
}

/** The users module behind the product's own HTTP application, on the embedded database, with the probe's routes beside. */
export async function openHouse({ variables: more = {}, jobs = false }: HouseOptions = {}): Promise<House> {
  const directory = await preparedDirectory();
  const variables = { DATA_DIR: directory, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent', ...SIGN_IN_AT_WILL, ...more };
  const config = parseConfig(variables);
  const logger = createLogger('silent');
  const database = await openDatabase(config, logger);
  const apps: NestFastifyApplication[] = [];
  const open = async (changed: Record<string, string> = {}, prepare?: (app: NestFastifyApplication, config: Config) => void): Promise<{ url: string; app: NestFastifyApplication; config: Config }> => {
    const own = parseConfig({ ...variables, ...changed });
    class Product {}
    const app = await createHttpApp({ module: Product, imports: [OpsModule.forRoot(own, logger), DatabaseModule.forUrls(database), StorageModule, jobs ? QueueModule.forWorkers(own, usersJobs) : QueueModule.forProducers(), ...(jobs ? [UsersWorkerModule] : []), UsersModule, ProbeModule] }, own, logger);
    apps.push(app);
    prepare?.(app, own);
    await app.listen(0, '127.0.0.1');
    return { url: await app.getUrl(), app, config: own };
  };
  const first = await open();
  const administrator = await first.app.get(BootstrapService).ensureFirstAdministrator();
  return {
    ...first, administrator, database, neighbour: open,
    close: async () => {
      for (const app of apps) await app.close();
      await database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
  scope: string;
}

/** POSTs a form and gives status, headers and the JSON body (null when there is none). */
export async function postForm(url: string, form: Record<string, string> | string, headers: Record<string, string> = {}): Promise<{ status: number; headers: Headers; body: unknown }> {
  const response = await fetch(url, { method: 'POST', body: typeof form === 'string' ? form : new URLSearchParams(form), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : (JSON.parse(text) as unknown) };
}

export async function signIn(url: string, email: string = ADMIN.email, password: string = ADMIN.password, scope?: string): Promise<Tokens> {
  const { status, body } = await postForm(`${url}/oauth2/token`, { grant_type: 'password', username: email, password, ...(scope !== undefined && { scope }) });
  if (status !== 200) throw new Error(`no token: ${String(status)} ${JSON.stringify(body)}`);
  // RFC 6749 §5.1
  return body as Tokens;
}

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** Calls with a bearer token, or a key when it starts with `hv_`. The caller names the body's shape. */
export async function call<T = Record<string, unknown>>(credential: string | undefined, method: string, url: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<T>> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(credential !== undefined && (credential.startsWith('hv_') ? { 'x-api-key': credential } : { authorization: `Bearer ${credential}` })),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: (text === '' ? null : JSON.parse(text)) as T };
}

let addresses = 0;

/** Adds a person with a role and signs them in. */
export async function person(house: Pick<House, 'url'>, adminToken: string, role: string): Promise<{ id: string; email: string; password: string; tokens: Tokens }> {
  addresses += 1;
  const email = `person-${String(addresses)}-${role}@hospital.test`;
  const password = 'a password of some length';
  const created = await call<{ id: string }>(adminToken, 'POST', `${house.url}/api/v1/users`, { email, displayName: 'A Person', role, password });
  if (created.status !== 201) throw new Error(`not created: ${JSON.stringify(created.body)}`);
  return { id: created.body.id, email, password, tokens: await signIn(house.url, email, password) };
}
