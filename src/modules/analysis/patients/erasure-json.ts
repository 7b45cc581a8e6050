import { z } from 'zod';

/** `typ` of the receipt. */
export const ERASURE_RECEIPT = 'erasure-receipt+jwt';

export const eraseBody = z
  .strictObject({ reason: z.string().trim().min(1).max(500).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').optional().meta({ description: 'Stays in the receipt and in the audit: no patient data in it', example: 'Request under GDPR, Article 17' }) })
  .meta({ id: 'ErasePatient' });

const count = z.int().min(0);

export const erasureStatementSchema = z
  .object({
    iss: z.string().meta({ description: 'The installation' }),
    jti: z.uuid(),
    iat: z.int(),
    institution: z.uuid(),
    patient: z.uuid(),
    erasedAt: z.iso.datetime(),
    erasedBy: z.object({ kind: z.enum(['user', 'api-key', 'client']), id: z.uuid(), user: z.uuid(), role: z.string() }),
    reason: z.string().nullable(),
    erased: z.object({ studies: count, series: count, instances: count, earlierInstanceVersions: count, analyses: count, results: count }),
    studyInstanceUidSha256: z.array(z.string()).meta({ description: 'Of each study: whoever knows a UID can tell that it was among them, nobody else' }),
    destroyedKeys: z.array(z.uuid()).meta({ description: 'Ids of the data keys; what they encrypted is noise wherever it still lies, in backups too' }),
  })
  .meta({ id: 'ErasureStatement', description: 'What was erased. Names nobody.' });
export type ErasureStatement = z.infer<typeof erasureStatementSchema>;

export const erasureSchema = z
  .object({ receipt: z.string().meta({ description: 'The statement, signed with Ed25519: a JWS (RFC 7515, RFC 8037)' }), statement: erasureStatementSchema })
  .meta({ id: 'ErasureReceipt' });
export type ErasureJson = z.infer<typeof erasureSchema>;

export const verifyReceiptBody = z.strictObject({ receipt: z.string().min(1).max(1_000_000) }).meta({ id: 'VerifyErasureReceipt' });

export const receiptVerificationSchema = z
  .object({
    valid: z.boolean(),
    statement: erasureStatementSchema.nullable().meta({ description: 'null when it is not valid' }),
    publicKey: z.object({ kid: z.string(), kty: z.string(), crv: z.string(), x: z.string() }).nullable().meta({ description: 'With which anybody can verify it, now and later' }),
  })
  .meta({ id: 'ErasureReceiptVerification' });
export type ReceiptVerification = z.infer<typeof receiptVerificationSchema>;

export const erasureExample: ErasureJson = {
  receipt: 'eyJhbGciOiJFZERTQSIsInR5cCI6ImVyYXN1cmUtcmVjZWlwdCtqd3QiLCJraWQiOiIuLi4ifQ.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl',
  statement: {
    iss: 'https://healthvision.example', jti: '0198c0de-0000-7000-8000-0000000000e1', iat: 1_795_255_200, institution: '0198c0de-0000-7000-8000-000000000000', patient: '0198c0de-0000-7000-8000-00000000000a',
    erasedAt: '2026-11-21T10:00:00.000Z', erasedBy: { kind: 'user', id: '0198c0de-0000-7000-8000-000000000001', user: '0198c0de-0000-7000-8000-000000000001', role: 'admin' },
    reason: 'Request under GDPR, Article 17', erased: { studies: 1, series: 2, instances: 240, earlierInstanceVersions: 0, analyses: 1, results: 1 },
    studyInstanceUidSha256: ['60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752'], destroyedKeys: ['0198c0de-0000-7000-8000-0000000000c1'],
  },
};

export const verificationExample: ReceiptVerification = {
  valid: true, statement: erasureExample.statement,
  publicKey: { kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
};
