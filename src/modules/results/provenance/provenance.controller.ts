import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { askedResult } from '../asked-result.js';
import { resultExample } from '../findings-json.js';
import { ResultsStore } from '../results.store.js';
import { assertReleased } from '../withheld.js';
import { outputDigestOf, PROVENANCE_STATEMENT, provenanceStatement, signedProvenanceSchema, type SignedProvenance } from './signed-statement.js';
import { StatementSigner } from './statement-signer.js';

const { model, software, inputDigest, executionProvider, startedAt, finishedAt } = resultExample.provenance;
const example: SignedProvenance = {
  statement: {
    type: PROVENANCE_STATEMENT, resultId: resultExample.id, analysisId: resultExample.analysisId, analysis: resultExample.analysis, model, software, inputDigest,
    outputDigest: outputDigestOf(resultExample), executionProvider, startedAt, finishedAt,
  },
  signature: { algorithm: 'Ed25519', keyId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5c', value: 'p8vRh2b0F6rY2oQ3b3mD1wq7m2zX0sZb0o8p6uJ9tQ4cVnqv3lq1m4mVgq0sC7mH0K5e1bqXoR5mA2m3w8sBDA' },
  publicKey: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  output: { findings: [], labels: resultExample.labels, segments: [] },
};

@ApiTags('results')
@Controller('api/v1/results')
export class ProvenanceController {
  constructor(
    private readonly store: ResultsStore,
    private readonly signer: StatementSigner,
  ) {}

  @Get(':id/provenance')
  @RequirePermission('results:read')
  @Operation({
    id: 'getResultProvenance',
    summary: 'Where a result comes from, signed',
    description: 'What the model made, of which input, by which software, with the Ed25519 signature of this installation; whatever people made of it since is not in it. `healthvision provenance verify` checks the document without an installation. The keys of the installation are those of `GET /audit-events/keys`.',
    answers: { 200: { description: 'The signed statement', schema: signedProvenanceSchema, example } },
    problems: ['result-not-found', 'result-withheld', 'result-unsigned-provenance'],
  })
  async get(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<SignedProvenance> {
    const record = askedResult(request, await this.store.original(institutionId, id));
    assertReleased(record);
    const { provenance: { signature, ...provenance }, findings, labels, segments } = record;
    const publicKey = signature && (await this.signer.publicKey(signature.keyId));
    if (!signature || !publicKey) throw new AppError('result-unsigned-provenance');
    const { algorithm, keyId, value, outputDigest } = signature;
    void reply.header('Cache-Control', 'private, no-store');
    return { statement: provenanceStatement(record, provenance, outputDigest), signature: { algorithm, keyId, value }, publicKey, output: { findings, labels, segments } };
  }
}
