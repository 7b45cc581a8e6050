import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';

/** How an institution wants its images kept. */
export interface ImagePolicy {
  /** What happens to other bytes under a stored SOP Instance UID. */
  onConflict: 'reject' | 'replace';
  /** Days after a study's last instance came; null = for ever. */
  retentionDays: number | null;
}

export interface StoredImagePolicy extends ImagePolicy {
  /** null: nobody has decided yet, these are the defaults. */
  updatedAt: Date | null;
}

type PolicyRow = Prisma.ImagePolicyGetPayload<object>;

const COLUMNS = columnsOf(Prisma.ImagePolicyScalarFieldEnum);

@Injectable()
export class ImagePolicyStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string): Promise<StoredImagePolicy> {
    const rows = await this.database.read<PolicyRow>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM image_policies WHERE institution_id = ${institutionId}::uuid`);
    return policyOf(rows[0]);
  }

  /** As `find`, and nobody changes it before the commit. */
  async lock(tx: Transaction, institutionId: string): Promise<StoredImagePolicy> {
    const client = prismaOf(tx);
    // Of a row that is not there yet nothing can be locked but its institution.
    await client.$queryRaw`SELECT id FROM institutions WHERE id = ${institutionId}::uuid FOR NO KEY UPDATE`;
    return policyOf((await client.imagePolicy.findUnique({ where: { institutionId } })) ?? undefined);
  }

  async save(tx: Transaction, institutionId: string, { onConflict, retentionDays }: ImagePolicy): Promise<StoredImagePolicy> {
    return policyOf(await prismaOf(tx).imagePolicy.upsert({ where: { institutionId }, create: { institutionId, onConflict, retentionDays }, update: { onConflict, retentionDays } }));
  }
}

function policyOf(row: PolicyRow | undefined): StoredImagePolicy {
  return { onConflict: row?.onConflict === 'replace' ? 'replace' : 'reject', retentionDays: row?.retentionDays ?? null, updatedAt: row?.updatedAt ?? null };
}
