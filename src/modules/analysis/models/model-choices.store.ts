import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import type { ModelRow } from './models.store.js';

/** An institution's choice, with the model as it is now. */
export interface ChosenModel {
  model: { name: string; version: string; digest: string; state: string };
  analysis: string;
  reason: string | null;
  chosenBy: string;
  chosenAt: Date;
}

/** What institutions run on their own studies in place of the active model of the same analysis and domain. */
@Injectable()
export class ModelChoicesStore {
  constructor(private readonly database: Database) {}

  /** Takes the place of the choice that there was for the same analysis and domain. */
  async put(institutionId: string, model: ModelRow, chosenBy: string, reason: string | null): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO institution_model_choices (institution_id, analysis, domain_key, model_id, reason, chosen_by)
      SELECT ${institutionId}::uuid, m.analysis, md5((m.manifest->'domain')::text), m.id, ${reason}::text, ${chosenBy}::uuid FROM models m WHERE m.id = ${model.id}::uuid
      ON CONFLICT (institution_id, analysis, domain_key) DO UPDATE SET model_id = EXCLUDED.model_id, reason = EXCLUDED.reason, chosen_by = EXCLUDED.chosen_by, chosen_at = now()`);
  }

  /** false when the institution had not chosen it. */
  async remove(institutionId: string, model: ModelRow): Promise<boolean> {
    const { count } = await this.database.write({ institutionId }, Prisma.sql`
      DELETE FROM institution_model_choices WHERE institution_id = ${institutionId}::uuid AND model_id = ${model.id}::uuid`);
    return count > 0;
  }

  /** Models that may run: one that was retired after it was chosen is chosen in vain. */
  async chosen(institutionId: string, analyses: readonly string[]): Promise<string[]> {
    const rows = await this.database.read<{ id: string }>({ institutionId }, Prisma.sql`
      SELECT m.id FROM institution_model_choices c JOIN models m ON m.id = c.model_id
      WHERE c.institution_id = ${institutionId}::uuid AND c.analysis = ANY (${[...analyses]}::text[]) AND m.state IN ('active', 'available', 'shadow') ORDER BY c.chosen_at, m.id`);
    return rows.map(({ id }) => id);
  }

  async list(institutionId: string): Promise<ChosenModel[]> {
    const rows = await this.database.read<{ name: string; version: string; digest: string; state: string; analysis: string; reason: string | null; chosenBy: string; chosenAt: Date }>({ institutionId }, Prisma.sql`
      SELECT m.name, m.version, m.digest, m.state, c.analysis, c.reason, c.chosen_by AS "chosenBy", c.chosen_at AS "chosenAt"
      FROM institution_model_choices c JOIN models m ON m.id = c.model_id WHERE c.institution_id = ${institutionId}::uuid ORDER BY c.analysis, c.domain_key`);
    return rows.map(({ name, version, digest, state, ...choice }) => ({ model: { name, version, digest, state }, ...choice }));
  }
}
