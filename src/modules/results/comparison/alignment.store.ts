import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Affine } from '../../../imaging/volume/volume.js';
import { Database } from '../../../platform/database/database.js';

/** How a point of one result's images is found in those of an earlier one. */
export interface StoredAlignment {
  /** `none`: the images have no places that could be compared, or could not be aligned. */
  method: 'same-frame-of-reference' | 'rigid' | 'affine' | 'none';
  /** Millimetres, LPS. */
  toPrior: Affine;
  /** Share of the later image inside the earlier one, 0–1. */
  overlap?: number;
  /** Why there is none; free of PHI. */
  reason?: string;
}

@Injectable()
export class AlignmentStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string, resultId: string, priorResultId: string): Promise<StoredAlignment | null> {
    const [row] = await this.database.read<{ alignment: StoredAlignment }>({ institutionId }, Prisma.sql`
      SELECT alignment FROM result_alignments WHERE institution_id = ${institutionId}::uuid AND result_id = ${resultId}::uuid AND prior_result_id = ${priorResultId}::uuid`);
    return row?.alignment ?? null;
  }

  /** Changes nothing when one of the results is gone. */
  async save(institutionId: string, resultId: string, priorResultId: string, alignment: StoredAlignment): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO result_alignments (result_id, prior_result_id, institution_id, alignment)
      SELECT r.id, p.id, r.institution_id, ${JSON.stringify(alignment)}::jsonb FROM results r JOIN results p ON p.institution_id = r.institution_id AND p.id = ${priorResultId}::uuid
      WHERE r.institution_id = ${institutionId}::uuid AND r.id = ${resultId}::uuid ON CONFLICT DO NOTHING`);
  }
}
