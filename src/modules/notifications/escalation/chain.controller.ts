import { Body, Controller, Get, Headers, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError, type FieldError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { etagOf } from '../../../platform/http/representation.js';
import { People } from '../../users/users.contract.js';
import { chainSchema, type ChainStep } from './chain.js';
import { ChainStore, type StoredChain } from './chain.store.js';

const answerSchema = z.object({ steps: chainSchema, updatedAt: z.iso.datetime().nullable().meta({ description: 'null: nobody has set one up' }) }).meta({ id: 'EscalationChain' });
type ChainJson = z.output<typeof answerSchema>;

const steps: ChainStep[] = [
  { afterMinutes: 5, recipients: [{ role: 'radiologist' }], channels: ['email', 'in-app'] },
  { afterMinutes: 15, recipients: [{ role: 'admin' }], channels: ['email'] },
];
const putChain = z.strictObject({ steps: chainSchema }).meta({ id: 'PutEscalationChain', example: { steps } });
const ETAG = { ETag: 'Version of the chain, for If-Match' };

/** Whom an institution has told of critical results that nobody acknowledges. */
@ApiTags('notifications')
@Controller('api/v1/escalation-chain')
export class ChainController {
  constructor(
    private readonly chain: ChainStore,
    private readonly people: People,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('critical-rules:read')
  @Operation({ id: 'getEscalationChain', summary: 'Who is told of critical results that nobody acknowledges', answers: { 200: { description: 'The chain', schema: answerSchema, example: { steps, updatedAt: '2026-11-21T10:00:00.000Z' }, headers: ETAG } } })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<ChainJson> {
    return answer(await this.chain.find(institutionId), reply);
  }

  @Put()
  @TakesIfMatch()
  @RequirePermission('critical-rules:write')
  @Operation({
    id: 'putEscalationChain', summary: 'Decide who is told of critical results that nobody acknowledges',
    description: 'For notifications from now on; those that are climbing follow the chain that they began with. Each step is taken once, unless somebody has acknowledged the notification before; the chain asks neither for anybody’s preferences nor for their quiet hours. People who cannot sign in when a step is taken are passed over, which the escalation tells.',
    answers: { 200: { description: 'The chain', schema: answerSchema, example: { steps, updatedAt: '2026-11-21T10:00:00.000Z' }, headers: ETAG } },
    problems: ['invalid-body', 'precondition-failed'],
  })
  async put(@CurrentPrincipal() { institutionId }: Principal, @Body({ schema: putChain }) body: z.output<typeof putChain>, @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<ChainJson> {
    await this.requirePeople(institutionId, body.steps);
    const saved = await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(await this.chain.lock(tx, institutionId)));
      return this.chain.save(tx, institutionId, body.steps);
    });
    return answer(saved, reply);
  }

  /** @throws AppError `invalid-body`, with a pointer to each who is not of the institution */
  private async requirePeople(institutionId: string, chain: readonly ChainStep[]): Promise<void> {
    const named = chain.flatMap(({ recipients }, step) => recipients.flatMap((recipient, index) => ('userId' in recipient ? [{ userId: recipient.userId, pointer: `/steps/${String(step)}/recipients/${String(index)}/userId` }] : [])));
    const known = new Set((await this.people.withIds(institutionId, named.map(({ userId }) => userId))).map(({ id }) => id));
    const errors = named.filter(({ userId }) => !known.has(userId.toLowerCase())).map(({ pointer }): FieldError => ({ pointer, detail: 'No such person' }));
    if (errors.length > 0) throw new AppError('invalid-body', { errors });
  }
}

function answer(stored: StoredChain, reply: FastifyReply): ChainJson {
  void reply.header('ETag', etag(stored));
  return { steps: [...stored.steps], updatedAt: stored.updatedAt?.toISOString() ?? null };
}

function etag({ version, updatedAt }: StoredChain): string {
  return etagOf('escalation-chain', version, updatedAt?.getTime() ?? 0);
}
