import { Body, Controller, Delete, Get, Headers, Inject, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, type Page, type PageQuery } from '../../../platform/http/page.js';
import { AllowedHosts } from '../../../platform/http/public-address.js';
import { allowedUrl } from '../../../platform/http/safe-fetch.js';
import type { Webhook, WebhookDraft } from './webhook.js';
import { WebhookDeliveriesStore } from './webhook-deliveries.store.js';
import { WebhookSecrets } from './webhook-secrets.service.js';
import { createdWebhook, createWebhook, rotateSecret, updateWebhook, webhookETag, webhookExample, webhookJson, webhookPage, webhookSchema, type WebhookJson } from './webhooks-json.js';
import { MOST_WEBHOOKS, WebhooksStore } from './webhooks.store.js';

const ETAG = { ETag: 'Version of the webhook, for If-Match' };
const SECRET_EXAMPLE = { ...webhookExample, secret: 'whsec_dGhpcyBpcyBhIHNlY3JldCBvZiBhbiBleGFtcGxlISE=' };
const HOUR_MS = 3_600_000;

/** Which other systems are told of what happens. */
@ApiTags('webhooks')
@Controller('api/v1/webhooks')
export class WebhooksController {
  private readonly allowed: AllowedHosts;

  constructor(
    private readonly webhooks: WebhooksStore,
    private readonly deliveries: WebhookDeliveriesStore,
    private readonly secrets: WebhookSecrets,
    private readonly database: Database,
    @Inject(CONFIG) config: Config,
  ) {
    this.allowed = new AllowedHosts(config.ALLOWED_PRIVATE_HOSTS);
  }

  @Get()
  @RequirePermission('webhooks:read')
  @Operation({ id: 'listWebhooks', summary: 'Which systems are told of events', answers: { 200: { description: 'A page, oldest first', schema: webhookPage, example: { items: [webhookExample], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<WebhookJson>> {
    return pageOf(await this.webhooks.list(institutionId, page), page.limit, webhookJson);
  }

  @Get(':id')
  @RequirePermission('webhooks:read')
  @Operation({ id: 'getWebhook', summary: 'One webhook', answers: { 200: { description: 'The webhook, without its secret', schema: webhookSchema, example: webhookExample, headers: ETAG } }, problems: ['webhook-not-found'] })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<WebhookJson> {
    const webhook = await this.webhooks.find(institutionId, id);
    if (!webhook) throw new AppError('webhook-not-found');
    return answer(webhook, reply);
  }

  @Post()
  @RequirePermission('webhooks:write')
  @Idempotent()
  @Operation({
    id: 'createWebhook',
    summary: 'Have a system told of events',
    description: `By Standard Webhooks: signed, at least once, those of one study in order, with tries over three days. The secret is shown once. At most ${String(MOST_WEBHOOKS)} for an institution.`,
    answers: { 201: { description: 'Created', schema: createdWebhook, example: SECRET_EXAMPLE, headers: { ...ETAG, 'Location': 'Where the webhook is', 'Cache-Control': 'no-store' } } },
    problems: ['invalid-body', 'url-not-allowed', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createWebhook }) draft: z.infer<typeof createWebhook>, @Res({ passthrough: true }) reply: FastifyReply, @Req() request: FastifyRequest): Promise<z.infer<typeof createdWebhook>> {
    const { institutionId } = principal;
    requireSight(draft.includePhi, principal);
    const id = uuidv7();
    const url = allowedUrl(draft.url, this.allowed).href;
    const { secret, ...sealed } = await this.secrets.first(institutionId, id);
    const made = await this.database.transaction({ institutionId }, (tx) => this.webhooks.create(tx, institutionId, id, { ...draft, url, ...sealed }));
    if (!made) throw new AppError('conflict', { detail: `An institution has at most ${String(MOST_WEBHOOKS)} webhooks.` });
    note(request, made);
    void reply.header('Location', `/api/v1/webhooks/${made.id}`).header('Cache-Control', 'no-store');
    return { ...answer(made, reply), secret };
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('webhooks:write')
  @Operation({
    id: 'updateWebhook',
    summary: 'Change a webhook',
    description: 'Holds for what is sent from now on, deliveries that wait included. Another URL, and being enabled again, have them sent at once, with all their tries before them.',
    answers: { 200: { description: 'Changed', schema: webhookSchema, example: webhookExample, headers: ETAG } },
    problems: ['invalid-body', 'url-not-allowed', 'webhook-not-found', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateWebhook }) change: z.infer<typeof updateWebhook>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Req() request: FastifyRequest,
  ): Promise<WebhookJson> {
    const { institutionId } = principal;
    const url = change.url === undefined ? undefined : allowedUrl(change.url, this.allowed).href;
    const changed = await this.database.transaction({ institutionId }, async (tx) => {
      const before = await this.locked(tx, institutionId, id, ifMatch);
      // Whoever may not see patients does not have them sent elsewhere either.
      if (change.includePhi ?? (url !== undefined && before.includePhi)) requireSight(true, principal);
      const after = await this.webhooks.change(tx, id, { ...given(change), ...(url !== undefined && { url }) });
      if ((after.enabled && !before.enabled) || after.url !== before.url) await this.deliveries.renew(tx, institutionId, id);
      return after;
    });
    note(request, changed);
    return answer(changed, reply);
  }

  @Post(':id/secret')
  @TakesIfMatch()
  @RequirePermission('webhooks:write')
  @Idempotent()
  @Operation({
    id: 'rotateWebhookSecret',
    summary: 'Give a webhook a new secret',
    description: 'And a new Ed25519 key. Until the overlap ends messages carry a signature by every secret, so that the receiver may change when it likes.',
    answers: { 200: { description: 'The webhook with its new secret', schema: createdWebhook, example: SECRET_EXAMPLE, headers: { ...ETAG, 'Cache-Control': 'no-store' } } },
    problems: ['invalid-body', 'webhook-not-found', 'precondition-failed', 'conflict', 'idempotency-key-reused'],
  })
  async rotate(
    @CurrentPrincipal() { institutionId }: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: rotateSecret }) { overlapHours }: z.infer<typeof rotateSecret>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Req() request: FastifyRequest,
  ): Promise<z.infer<typeof createdWebhook>> {
    const { secret, webhook } = await this.database.transaction({ institutionId }, async (tx) => {
      const before = await this.locked(tx, institutionId, id, ifMatch);
      const { secret: shown, ...sealed } = await this.secrets.next(before, new Date(Date.now() + overlapHours * HOUR_MS));
      return { secret: shown, webhook: await this.webhooks.change(tx, id, sealed) };
    });
    noteForAudit(request, { details: { overlapHours } });
    void reply.header('Cache-Control', 'no-store');
    return { ...answer(webhook, reply), secret };
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('webhooks:write')
  @Operation({
    id: 'deleteWebhook', summary: 'Tell a system nothing any more', description: 'What waits to be sent is not sent; the log goes, too.',
    answers: { 204: { description: 'Deleted' } }, problems: ['webhook-not-found', 'precondition-failed'],
  })
  async delete(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await this.locked(tx, institutionId, id, ifMatch);
      await this.webhooks.delete(tx, id);
    });
  }

  private async locked(tx: Transaction, institutionId: string, id: string, ifMatch: string | undefined): Promise<Webhook> {
    const webhook = await this.webhooks.lock(tx, institutionId, id);
    if (!webhook) throw new AppError('webhook-not-found');
    requireMatch(ifMatch, webhookETag(webhook));
    return webhook;
  }
}

/** @throws AppError `forbidden` for somebody who has others told what they may not see */
function requireSight(includePhi: boolean, { permissions }: Principal): void {
  if (includePhi && !['patients:read', 'results:read'].every((permission) => permissions.has(permission))) throw new AppError('forbidden', { detail: 'Messages with PHI need the permissions patients:read and results:read.' });
}

/** Without the fields that were left out, which zod types as undefined. */
function given({ url: _, ...change }: z.infer<typeof updateWebhook>): Partial<WebhookDraft> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

/** The URL may hold a secret: its host alone goes on record. */
function note(request: FastifyRequest, { id, url, events, enabled, includePhi }: Webhook): void {
  noteForAudit(request, { object: id, details: { host: new URL(url).host, events: events.join(' '), enabled, includePhi } });
}

function answer(webhook: Webhook, reply: FastifyReply): WebhookJson {
  void reply.header('ETag', webhookETag(webhook));
  return webhookJson(webhook);
}
