import { Body, Controller, Delete, Get, Headers, Inject, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, type Page, type PageQuery } from '../../../platform/http/page.js';
import { AllowedHosts } from '../../../platform/http/public-address.js';
import { allowedUrl } from '../../../platform/http/safe-fetch.js';
import { authorizationContext, type Destination, type DestinationDraft } from './destination.js';
import { createDestination, destinationETag, destinationExample, destinationJson, destinationPage, destinationSchema, updateDestination, type DestinationJson, type TargetBody } from './destinations-json.js';
import { DestinationsStore, MOST_DESTINATIONS } from './destinations.store.js';
import { isReachable } from './checked-address.js';

const ETAG = { ETag: 'Version of the destination, for If-Match' };

/** Where an institution wants its results sent. */
@ApiTags('destinations')
@Controller('api/v1/destinations')
export class DestinationsController {
  private readonly allowed: AllowedHosts;

  constructor(
    private readonly destinations: DestinationsStore,
    private readonly database: Database,
    private readonly vault: KeyVault,
    @Inject(CONFIG) config: Config,
  ) {
    this.allowed = new AllowedHosts(config.ALLOWED_PRIVATE_HOSTS);
  }

  @Get()
  @RequirePermission('destinations:read')
  @Operation({ id: 'listDestinations', summary: 'Where results are sent', answers: { 200: { description: 'A page, oldest first', schema: destinationPage, example: { items: [destinationExample], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<DestinationJson>> {
    return pageOf(await this.destinations.list(institutionId, page), page.limit, destinationJson);
  }

  @Get(':id')
  @RequirePermission('destinations:read')
  @Operation({ id: 'getDestination', summary: 'One destination', answers: { 200: { description: 'The destination', schema: destinationSchema, example: destinationExample, headers: ETAG } }, problems: ['destination-not-found'] })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<DestinationJson> {
    const destination = await this.destinations.find(institutionId, id);
    if (!destination) throw new AppError('destination-not-found');
    return answer(destination, reply);
  }

  @Post()
  @RequirePermission('destinations:write')
  @Idempotent()
  @Operation({
    id: 'createDestination',
    summary: 'Have results sent to a PACS or RIS',
    description: `Every result that passes its checks from now on. \`stow\`: SEG and SR by STOW-RS, over TLS to a server on the Internet or to one of ALLOWED_PRIVATE_HOSTS. \`dimse\`: SEG and SR by C-STORE, which is not encrypted, to one of ALLOWED_PRIVATE_HOSTS alone. \`hl7\`: an ORU^R01 message of HL7 v2.5.1 over MLLP, with TLS to a host on the Internet or to one of ALLOWED_PRIVATE_HOSTS, without it to those alone. At most ${String(MOST_DESTINATIONS)} for an institution.`,
    answers: { 201: { description: 'Created', schema: destinationSchema, example: destinationExample, headers: { ...ETAG, Location: 'Where the destination is' } } },
    problems: ['invalid-body', 'url-not-allowed', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() { institutionId }: Principal, @Body({ schema: createDestination }) { target, ...draft }: z.infer<typeof createDestination>, @Res({ passthrough: true }) reply: FastifyReply): Promise<DestinationJson> {
    const id = uuidv7();
    const place = await this.placeOf(institutionId, id, target);
    const made = await this.database.transaction({ institutionId }, (tx) => this.destinations.create(tx, institutionId, { ...draft, sealedAuthorization: null, ...place }, id));
    if (!made) throw new AppError('conflict', { detail: `An institution has at most ${String(MOST_DESTINATIONS)} destinations.` });
    void reply.header('Location', `/api/v1/destinations/${made.id}`);
    return answer(made, reply);
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('destinations:write')
  @Operation({
    id: 'updateDestination',
    summary: 'Change a destination',
    description: 'Holds for what is sent from now on, deliveries that wait included. A target is given whole; a change to another server forgets what was in Authorization unless it is given again.',
    answers: { 200: { description: 'Changed', schema: destinationSchema, example: destinationExample, headers: ETAG } },
    problems: ['invalid-body', 'url-not-allowed', 'destination-not-found', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() { institutionId }: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateDestination }) { target, name, enabled, results }: z.infer<typeof updateDestination>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DestinationJson> {
    const place = target && (await this.placeOf(institutionId, id, target));
    const changed = await this.database.transaction({ institutionId }, async (tx) => {
      const before = await this.locked(tx, institutionId, id, ifMatch);
      const moved = place && !isSameServer(before.target, place.target);
      return this.destinations.change(tx, id, {
        ...(name !== undefined && { name }), ...(enabled !== undefined && { enabled }), ...(results !== undefined && { results }),
        ...place, ...(moved && place.sealedAuthorization === undefined && { sealedAuthorization: null }),
      });
    });
    return answer(changed, reply);
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('destinations:write')
  @Operation({
    id: 'deleteDestination', summary: 'Send nothing there any more', description: 'What waits to be sent is not sent, and what was sent stays there.',
    answers: { 204: { description: 'Deleted' } }, problems: ['destination-not-found', 'precondition-failed'],
  })
  async delete(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await this.locked(tx, institutionId, id, ifMatch);
      await this.destinations.delete(tx, id);
    });
  }

  private async locked(tx: Parameters<DestinationsStore['lock']>[0], institutionId: string, id: string, ifMatch: string | undefined): Promise<Destination> {
    const destination = await this.destinations.lock(tx, institutionId, id);
    if (!destination) throw new AppError('destination-not-found');
    requireMatch(ifMatch, destinationETag(destination));
    return destination;
  }

  /** @throws AppError `url-not-allowed` */
  private async placeOf(institutionId: string, id: string, target: TargetBody): Promise<Pick<DestinationDraft, 'target'> & Partial<Pick<DestinationDraft, 'sealedAuthorization'>>> {
    if (target.kind !== 'stow') {
      // A name may lie in an allowed network: the moment of sending tells.
      if (/^[\d.]+$|:/.test(target.host) && !isReachable(target.host, this.allowed, { encrypted: target.kind === 'hl7' && target.tls })) throw new AppError('url-not-allowed', { detail: 'The installation must name the host as its own (ALLOWED_PRIVATE_HOSTS), unless it is on the Internet and speaks TLS.' });
      return { target, sealedAuthorization: null };
    }
    const { url, authorization } = target;
    const place = { target: { kind: 'stow', url: allowedUrl(url, this.allowed).href } } as const;
    if (authorization === undefined) return place;
    return { ...place, sealedAuthorization: authorization === null ? null : (await this.vault.keyOfInstitution(institutionId)).seal(Buffer.from(authorization), authorizationContext(id)) };
  }
}

/** To which the same secret may be shown. */
function isSameServer(before: Destination['target'], after: Destination['target']): boolean {
  return before.kind === 'stow' && after.kind === 'stow' && new URL(before.url).origin === new URL(after.url).origin;
}

function answer(destination: Destination, reply: FastifyReply): DestinationJson {
  void reply.header('ETag', destinationETag(destination));
  return destinationJson(destination);
}
