import { Injectable } from '@nestjs/common';
import { Prisma, type Model, type ModelActivation } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

export type ActivationRow = ModelActivation;

/** Why a state changed, and at whose wish. */
export interface Transition {
  cause: 'checked' | 'set' | 'rollback' | 'displaced';
  /** null = the installation itself. */
  userId: string | null;
  reason: string | null;
  replacedModelId?: string | null;
}

const COLUMNS = columnsOf(Prisma.ModelActivationScalarFieldEnum);

/** States of models and their history. The caller holds the lock of all models (`lockModels`). */
@Injectable()
export class ModelStatesStore {
  constructor(private readonly database: Database) {}

  async find(tx: Transaction, name: string, version: string): Promise<Model | null> {
    return prismaOf(tx).model.findUnique({ where: { name_version: { name, version } } });
  }

  async findById(tx: Transaction, id: string): Promise<Model | null> {
    return prismaOf(tx).model.findUnique({ where: { id } });
  }

  /** The active version of a model; of several, for different domains, the one that was activated last. */
  async activeOf(tx: Transaction, name: string): Promise<Model | null> {
    const rows = await prismaOf(tx).$queryRaw<{ id: string }[]>`
      SELECT m.id FROM models m WHERE m.name = ${name} AND m.state = 'active'
      ORDER BY (SELECT max(a.id::text) FROM model_activations a WHERE a.model_id = m.id AND a.to_state = 'active') DESC NULLS LAST, m.id DESC LIMIT 1`;
    return rows[0] ? this.findById(tx, rows[0].id) : null;
  }

  /** The model that holds the place of `model`: active for the same analysis and domain. */
  async holderOfPlace(tx: Transaction, model: Model): Promise<Model | null> {
    const rows = await prismaOf(tx).$queryRaw<{ id: string }[]>`
      SELECT o.id FROM models o JOIN models m ON m.id = ${model.id}::uuid
      WHERE o.analysis = m.analysis AND o.state = 'active' AND o.id <> m.id AND o.manifest->'domain' = m.manifest->'domain' ORDER BY o.id LIMIT 1`;
    return rows[0] ? this.findById(tx, rows[0].id) : null;
  }

  /**
   * Whose place a model took when it was last activated other than by a rollback: going back twice leads two steps back, not forth again.
   * null when it was the first in its place.
   */
  async predecessorOf(tx: Transaction, model: Model): Promise<Model | null> {
    const activation = await prismaOf(tx).modelActivation.findFirst({
      where: { modelId: model.id, toState: 'active', cause: { in: ['set', 'checked'] } }, orderBy: { id: 'desc' },
    });
    return activation?.replacedModelId ? this.findById(tx, activation.replacedModelId) : null;
  }

  async change(tx: Transaction, model: Model, state: string, transition: Transition): Promise<Model> {
    const changed = await prismaOf(tx).model.update({ where: { id: model.id }, data: { state } });
    await recordTransition(tx, model, state, transition);
    return changed;
  }

  /** Newest first. */
  async history(name: string, page: { limit: number; cursor?: string | undefined }): Promise<ActivationRow[]> {
    const after = page.cursor === undefined ? Prisma.empty : Prisma.sql`AND id < ${page.cursor}::uuid`;
    return this.database.read<ActivationRow>('system', Prisma.sql`SELECT ${COLUMNS} FROM model_activations WHERE model_name = ${name} ${after} ORDER BY id DESC LIMIT ${page.limit + 1}::int`);
  }
}

/** Keeps that a model went from its state to another. */
export async function recordTransition(tx: Transaction, model: Model, toState: string, { cause, userId, reason, replacedModelId = null }: Transition): Promise<void> {
  await prismaOf(tx).modelActivation.create({
    data: {
      id: uuidv7(), modelId: model.id, modelName: model.name, modelVersion: model.version, modelDigest: model.digest, analysis: model.analysis,
      fromState: model.state, toState, cause, userId, reason, replacedModelId,
    },
  });
}
