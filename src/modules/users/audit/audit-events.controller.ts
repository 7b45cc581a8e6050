import { Controller, Get, Param, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { AuditChainStore } from '../../../platform/audit/audit-chain.store.js';
import { checkpointText } from '../../../platform/audit/audit-chain.js';
import { INSTALLATION } from '../../../platform/audit/audit-event.js';
import { AuditKeys } from '../../../platform/audit/audit-keys.js';
import { AuditVerifier } from '../../../platform/audit/audit-verifier.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { EXPORT_TYPES, exportLines } from './audit-export.js';
import {
  auditEventExample, auditEventJson, auditEventPage, auditEventSchema, auditKeysSchema, auditQuery, checkpointJson, checkpointSchema, exportQuery, verificationExample, verificationJson, verificationQuery, verificationSchema,
  type AuditEventJson, type VerificationJson,
} from './audit-json.js';
import { AuditLogStore } from './audit-log.store.js';

type CheckpointJson = z.infer<typeof checkpointSchema>;

const checkpointPage = pageSchema(checkpointSchema, 'AuditCheckpointPage');
const checkpointExample: CheckpointJson = {
  id: '0198c0de-0000-7000-8000-00000000000c', number: 12, position: 4711, hash: verificationExample.hash, at: '2026-11-21T10:00:00.000Z', kid: '0198c0de-0000-7000-8000-00000000000d', text: '["healthvision-audit-checkpoint-1",…]', signature: 'kT3o…',
};

/** The audit trail of the institution. */
@ApiTags('audit')
@RequirePermission('audit:read')
@Controller('api/v1/audit-events')
export class AuditEventsController {
  constructor(
    private readonly log: AuditLogStore,
    private readonly chains: AuditChainStore,
    private readonly verifier: AuditVerifier,
    private readonly keys: AuditKeys,
  ) {}

  @Get()
  @Operation({
    id: 'listAuditEvents', summary: 'Who did and saw what', description: 'Newest first. Every API call and every access of a job to patients’ data; filters are combined.',
    answers: { 200: { description: 'A page of events', schema: auditEventPage, example: { items: [auditEventExample], nextCursor: null } } }, problems: ['invalid-query'],
  })
  async list(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: auditQuery }) { limit, cursor, from, to, ...filter }: z.output<typeof auditQuery>): Promise<Page<AuditEventJson>> {
    const wanted = { ...filter, from: from === undefined ? undefined : new Date(from), to: to === undefined ? undefined : new Date(to) };
    return pageOf(await this.log.list(institutionId, wanted, { limit, cursor }), limit, auditEventJson);
  }

  @Get('verification')
  @Operation({
    id: 'verifyAuditEvents', summary: 'Verify the chain', description: 'Walks the chain of the institution and names the first link that was changed, removed, inserted or moved.',
    answers: { 200: { description: 'What was found', schema: verificationSchema, example: verificationExample } }, problems: ['invalid-query'],
  })
  async verify(@CurrentPrincipal() principal: Principal, @Query({ schema: verificationQuery }) { chain, from, to }: z.output<typeof verificationQuery>): Promise<VerificationJson> {
    const range = { ...(from !== undefined && { from: BigInt(from) }), ...(to !== undefined && { to: BigInt(to) }) };
    if (chain === 'institution') return verificationJson(await this.verifier.verify({ institutionId: principal.institutionId }, principal.institutionId, range));
    if (principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'The chain of the installation is for platform administrators.' });
    return verificationJson(await this.verifier.verify('system', INSTALLATION, range));
  }

  @Get('keys')
  @Operation({
    id: 'getAuditKeys', summary: 'Keys that sign checkpoints', description: 'A JWK Set (RFC 7517) of Ed25519 keys (RFC 8037). They stay here for ever.',
    answers: { 200: { description: 'The public keys', schema: auditKeysSchema, example: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: checkpointExample.kid, use: 'sig', alg: 'EdDSA' }] } } },
  })
  async publicKeys(): Promise<z.infer<typeof auditKeysSchema>> {
    return { keys: (await this.keys.signingKeys()).map(({ kid, publicJwk }) => ({ ...publicJwk, kid, use: 'sig', alg: 'EdDSA' })) };
  }

  @Get('checkpoints')
  @Operation({
    id: 'listAuditCheckpoints', summary: 'Signed checkpoints', description: 'Newest first: signed statements of where the chain stood. Who keeps one can prove later that nothing before it was changed.',
    answers: { 200: { description: 'A page of checkpoints', schema: checkpointPage, example: { items: [checkpointExample], nextCursor: null } } }, problems: ['invalid-query'],
  })
  async checkpoints(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<CheckpointJson>> {
    return pageOf(await this.log.checkpoints(institutionId, page), page.limit, (checkpoint) => checkpointJson(checkpoint, checkpointText(checkpoint)));
  }

  @Get('export')
  @Operation({
    id: 'exportAuditEvents', summary: 'Export the audit trail', description: '`ndjson`: events in the order of the chain, with all that its hashes are made of. `fhir`: FHIR R4 AuditEvent resources, a line each.',
    answers: { 200: { description: 'A line for each event', mediaType: EXPORT_TYPES.ndjson, alsoAs: [EXPORT_TYPES.fhir] } }, problems: ['invalid-query'],
  })
  async export(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: exportQuery }) { format, from, to }: z.output<typeof exportQuery>, @Res({ passthrough: true }) reply: FastifyReply): Promise<StreamableFile> {
    const since = from === undefined ? undefined : new Date(from);
    const first = since === undefined ? 1n : await this.log.firstPositionAt(institutionId, since);
    const lines = await exportLines({
      links: (after, limit) => this.chains.links({ institutionId }, institutionId, after, limit),
      hashAt: async (position) => (await this.chains.sealAt({ institutionId }, institutionId, position))?.hash,
    }, format, { first, from: since, to: to === undefined ? undefined : new Date(to) });
    void reply.header('Cache-Control', 'no-store');
    return new StreamableFile(lines, { type: EXPORT_TYPES[format], disposition: `attachment; filename="audit-events.${format === 'fhir' ? 'fhir.' : ''}ndjson"` });
  }

  @Get(':id')
  @Operation({ id: 'getAuditEvent', summary: 'One audit event', answers: { 200: { description: 'The event', schema: auditEventSchema, example: auditEventExample } }, problems: ['audit-event-not-found'] })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string): Promise<AuditEventJson> {
    const event = await this.log.find(institutionId, id);
    if (!event) throw new AppError('audit-event-not-found');
    return auditEventJson(event);
  }
}
