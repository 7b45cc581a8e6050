import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, homeOf, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { NeedsIfMatch, requireSeen } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageQuery, type Page, type PageQuery } from '../../../platform/http/page.js';
import { languageOf } from '../../../platform/http/problem.js';
import { speaks } from '../../../platform/http/representation.js';
import { PersonProofs } from '../../users/users.contract.js';
import { askedResult } from '../asked-result.js';
import { etagsOf, findingsJson, resultExample, resultSchema, type ResultJson } from '../findings-json.js';
import { ResultsStore, type ResultRecord } from '../results.store.js';
import { firstVersionJson, fullVersionExample, fullVersionJson, fullVersionSchema, newAmendmentSchema, newReviewSchema, newSignOffSchema, reviewExample, versionExample, versionJson, versionPageSchema, type FullVersionJson, type NewAmendment, type NewReview, type NewSignOff, type VersionJson } from './review-json.js';
import { ReviewService, type Reviewer } from './review.service.js';
import { ResultVersionsStore, type VersionRecord } from './versions.store.js';
import { ReviewWords } from './words.service.js';

const id = z.uuid();
const HEADERS = { 'ETag': 'Version of this representation', 'Content-Language': '`en` or `zh-CN`, after Accept-Language' };
const person = { by: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', at: '2026-11-21T11:00:00.000Z' };
const reviewed: ResultJson = { ...resultExample, review: { version: 2, kind: 'review', ...person, signedVersion: null } };
const signed: ResultJson = { ...resultExample, status: 'final', review: { version: 3, kind: 'sign-off', ...person, signedVersion: 3, signOff: { ...person, name: 'Ada Wong', meaning: 'approved' } } };
const amended: ResultJson = { ...resultExample, review: { version: 4, kind: 'amendment', ...person, signedVersion: 3 } };

/** What people make of results. */
@ApiTags('results')
@Controller('api/v1/results')
export class ReviewsController {
  constructor(
    private readonly reviews: ReviewService,
    private readonly results: ResultsStore,
    private readonly versions: ResultVersionsStore,
    private readonly words: ReviewWords,
    private readonly proofs: PersonProofs,
  ) {}

  @Post(':id/reviews')
  @HttpCode(201)
  @NeedsIfMatch()
  @RequirePermission('results:review')
  @Idempotent({ requestHeaders: ['if-match'] })
  @Operation({
    id: 'reviewResult', summary: 'Accept, reject, edit and add findings',
    description: 'Makes a new version of a result that is not signed: the result then reads as it stands, what the model made stays in version 1. Each decision replaces those before about the same finding, label or segment; all of them are taken, or none. A label and the finding that shows it go together.',
    answers: { 201: { description: 'The result as it stands', schema: resultSchema, example: reviewed, headers: HEADERS } },
    problems: ['invalid-body', 'result-not-found', 'result-signed', 'result-withheld', 'too-many-versions', 'precondition-required', 'precondition-failed', 'conflict', 'idempotency-key-reused'],
  })
  async review(@Param('id', { schema: id }) resultId: string, @Body({ schema: newReviewSchema }) { decisions }: NewReview, @Headers('if-match') ifMatch: string | undefined, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ResultJson> {
    return answer(await this.reviews.review(await this.reviewer(principal), resultId, ifMatch, decisions), request, reply);
  }

  @Post(':id/amendments')
  @HttpCode(201)
  @NeedsIfMatch()
  @RequirePermission('results:review')
  @Idempotent({ requestHeaders: ['if-match'] })
  @Operation({
    id: 'amendResult', summary: 'Open a signed result again',
    description: 'Makes a new version, which is `preliminary` and takes reviews until it is signed; then the result is `amended`. The signed version stays readable.',
    answers: { 201: { description: 'The result as it stands', schema: resultSchema, example: amended, headers: HEADERS } },
    problems: ['invalid-body', 'result-not-found', 'result-not-signed', 'result-withheld', 'too-many-versions', 'precondition-required', 'precondition-failed', 'conflict', 'idempotency-key-reused'],
  })
  async amend(@Param('id', { schema: id }) resultId: string, @Body({ schema: newAmendmentSchema }) { reason, decisions }: NewAmendment, @Headers('if-match') ifMatch: string | undefined, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ResultJson> {
    return answer(await this.reviews.amend(await this.reviewer(principal), resultId, ifMatch, reason, decisions), request, reply);
  }

  @Post(':id/sign-off')
  @HttpCode(200)
  @NeedsIfMatch()
  @RequirePermission('results:review')
  @Operation({
    id: 'signOffResult', summary: 'Sign a result',
    description: 'An electronic signature: whoever signs is a person, proves with password or second factor that it is them, and says what the signature means. What nobody has decided about stands from then on. The result is `final`, or `amended` when an earlier version was signed, and changes only by an amendment. SEG and SR of what was signed follow within moments, and go to the destinations that want signed results. A wrong password counts as a failed sign-in.',
    answers: { 200: { description: 'The signed result', schema: resultSchema, example: signed, headers: HEADERS } },
    problems: ['invalid-body', 'forbidden', 'result-not-found', 'user-not-found', 'result-signed', 'result-withheld', 'too-many-versions', 'precondition-required', 'precondition-failed', 'conflict', 'password-incorrect', 'second-factor-invalid', 'too-many-requests'],
  })
  async signOff(@Param('id', { schema: id }) resultId: string, @Body({ schema: newSignOffSchema }) { meaning, statement, password, code = '' }: NewSignOff, @Headers('if-match') ifMatch: string | undefined, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ResultJson> {
    if (principal.kind !== 'user') throw new AppError('forbidden', { detail: 'Only a person who has signed in signs a result, not a key or a system.' });
    const seen = await this.require(request, principal.institutionId, resultId);
    // Before the proof too: a code is good once.
    requireSeen(ifMatch, Object.values(etagsOf(seen)));
    const { displayName: name } = await this.proofs.prove({ ...homeOf(principal), userId: principal.userId }, password === undefined ? { code } : { password });
    const reviewer = { institutionId: principal.institutionId, userId: principal.userId, name };
    return answer(await this.reviews.signOff(reviewer, resultId, ifMatch, { meaning, statement, proof: password === undefined ? 'second-factor' : 'password' }), request, reply);
  }

  @Get(':id/reviews')
  @RequirePermission('results:read')
  @Operation({
    id: 'listResultReviews', summary: 'What people made of a result', description: 'Reviews, amendments and sign-offs, newest first.',
    answers: { 200: { description: 'A page of versions from the second on', schema: versionPageSchema, example: { items: [versionExample, reviewExample], nextCursor: null } } },
    problems: ['invalid-query', 'result-not-found'],
  })
  async list(@Param('id', { schema: id }) resultId: string, @Query({ schema: pageQuery }) { limit, cursor }: PageQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<VersionJson>> {
    const record = await this.require(request, institutionId, resultId);
    const rows = await this.versions.list(institutionId, resultId, limit + 1, cursor);
    const shown = rows.slice(0, limit);
    return { items: await this.told(record, shown), nextCursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
  }

  @Get(':id/versions')
  @RequirePermission('results:read')
  @Operation({
    id: 'listResultVersions', summary: 'Versions of a result', description: 'As `/reviews`, and last version 1, which the model made.',
    answers: { 200: { description: 'A page of versions', schema: versionPageSchema, example: { items: [versionExample, reviewExample], nextCursor: null } } },
    problems: ['invalid-query', 'result-not-found'],
  })
  async listVersions(@Param('id', { schema: id }) resultId: string, @Query({ schema: pageQuery }) { limit, cursor }: PageQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<VersionJson>> {
    const record = await this.require(request, institutionId, resultId);
    const rows = await this.versions.list(institutionId, resultId, limit, cursor);
    const items = await this.told(record, rows);
    // The first version has no row, so it takes the place that is left, or a page of its own.
    if (rows.length === limit) return { items, nextCursor: rows.at(-1)?.id ?? null };
    const { findings: _, labels: __, segments: ___, ...first } = await this.first(institutionId, resultId);
    return { items: [...items, first], nextCursor: null };
  }

  @Get(':id/versions/:number')
  @RequirePermission('results:read')
  @Operation({
    id: 'getResultVersion', summary: 'A result as it was', description: 'Version 1 is what the model made, whatever came after. Of a result that is withheld it holds nothing.',
    answers: { 200: { description: 'The version', schema: fullVersionSchema, example: fullVersionExample } },
    problems: ['result-not-found', 'result-version-not-found'],
  })
  async get(@Param('id', { schema: id }) resultId: string, @Param('number', { schema: z.coerce.number().int().min(1).max(100_000) }) version: number, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<FullVersionJson> {
    const record = await this.require(request, institutionId, resultId);
    if (version === 1) return this.first(institutionId, resultId);
    const found = await this.versions.find(institutionId, resultId, version);
    if (!found) throw new AppError('result-version-not-found');
    return fullVersionJson(found, await this.wordsOf(record, found));
  }

  private async told(record: ResultRecord, versions: readonly VersionRecord[]): Promise<VersionJson[]> {
    return Promise.all(versions.map(async (version) => versionJson(version, await this.wordsOf(record, version))));
  }

  private async first(institutionId: string, resultId: string): Promise<FullVersionJson> {
    const record = await this.results.original(institutionId, resultId);
    if (!record) throw new AppError('result-not-found');
    return firstVersionJson(record);
  }

  private wordsOf({ institutionId, studyInstanceUid }: ResultRecord, { resultId, version, sealed }: VersionRecord): ReturnType<ReviewWords['open']> {
    return this.words.open(sealed, { institutionId, studyInstanceUid, resultId, version });
  }

  private async reviewer({ kind, institutionId, userId, crossing }: Principal): Promise<Reviewer> {
    const name = kind === 'client' ? undefined : await this.proofs.nameOf({ institutionId: crossing?.fromInstitutionId ?? institutionId, userId });
    return { institutionId, userId, name: name ?? kind };
  }

  private async require(request: FastifyRequest, institutionId: string, resultId: string): Promise<ResultRecord> {
    const record = askedResult(request, await this.results.find(institutionId, resultId));
    noteForAudit(request, { object: resultId });
    return record;
  }
}

function answer(record: ResultRecord, request: FastifyRequest, reply: FastifyReply): ResultJson {
  const language = languageOf(request.headers['accept-language']);
  noteForAudit(request, { studyInstanceUids: [record.studyInstanceUid], object: record.id, details: { version: record.version, status: record.status } });
  void reply.header('ETag', etagsOf(record)[language]);
  speaks(reply, language);
  return findingsJson(record, language);
}
