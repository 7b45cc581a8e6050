import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database } from '../../../platform/database/database.js';
import { ModelStatesStore } from './model-states.store.js';
import { lockModels, type ModelRow, type ModelState } from './models.store.js';

export const SETTABLE_STATES = ['active', 'shadow', 'available', 'retired'] as const satisfies readonly ModelState[];
export type SettableState = (typeof SETTABLE_STATES)[number];

/** Who asks for a change, and why. */
export interface Asking {
  userId: string | null;
  reason: string | null;
}

/** A change and what it brought with it. */
export interface Switched {
  model: ModelRow;
  /** The model whose place it took. */
  displaced: ModelRow | null;
}

/** Which model serves: one is active for an analysis and domain; others of it are available, run in its shadow, or are retired. */
@Injectable()
export class ModelStates {
  constructor(
    private readonly database: Database,
    private readonly states: ModelStatesStore,
  ) {}

  /**
   * Puts a version into a state. The active model of the same analysis and domain becomes available in the same transaction.
   *
   * @param look  sees the model under the lock, before anything changes; what it throws stops the change
   * @throws AppError `model-not-found`, `model-not-switchable` for a model that is being checked or was rejected
   */
  async set(name: string, version: string, state: SettableState, asking: Asking, look: (model: ModelRow) => void = () => undefined): Promise<Switched> {
    return this.database.transaction('system', async (tx) => {
      await lockModels(tx);
      const model = await this.states.find(tx, name, version);
      if (!model) throw new AppError('model-not-found');
      look(model);
      if (model.state === state) return { model, displaced: null };
      if (model.state === 'checking' || model.state === 'rejected') throw new AppError('model-not-switchable', { detail: `The model is ${model.state}.` });
      if (state === 'active') return this.activate(tx, model, 'set', asking);
      return { model: await this.states.change(tx, model, state, { cause: 'set', ...asking }), displaced: null };
    });
  }

  /**
   * Gives the place of a model's active version back to the one that it took it from.
   *
   * @throws AppError `model-not-found`, `no-earlier-model`
   */
  async rollBack(name: string, asking: Asking): Promise<Switched> {
    return this.database.transaction('system', async (tx) => {
      await lockModels(tx);
      const active = await this.states.activeOf(tx, name);
      if (!active) throw new AppError('no-earlier-model', { detail: 'No version of the model is active.' });
      const earlier = await this.states.predecessorOf(tx, active);
      if (!earlier || earlier.state === 'checking' || earlier.state === 'rejected') throw new AppError('no-earlier-model', { detail: 'Nothing that can be run was active before this version.' });
      return this.activate(tx, earlier, 'rollback', asking, active);
    });
  }

  /** @param leaving  gives up its place, too, should its domain be another one */
  private async activate(tx: Transaction, model: ModelRow, cause: 'set' | 'rollback', asking: Asking, leaving?: ModelRow): Promise<Switched> {
    const holder = await this.states.holderOfPlace(tx, model);
    for (const displaced of new Map([holder, leaving].flatMap((row) => (row ? [[row.id, row] as const] : []))).values()) {
      await this.states.change(tx, displaced, 'available', { cause: 'displaced', ...asking });
    }
    const displaced = holder ?? leaving ?? null;
    return { model: await this.states.change(tx, model, 'active', { cause, ...asking, replacedModelId: displaced?.id ?? null }), displaced };
  }
}
