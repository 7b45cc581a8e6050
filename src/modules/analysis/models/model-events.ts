import type { DomainEvent } from '../../../platform/queue/outbox.js';
import { INSTALLATION } from './model-files.store.js';

/** Outbox topic: a pack was uploaded and waits for a worker to try it. */
export const MODEL_ADDED = 'model.added';
/** Payload of `model.added`. */
export type ModelAdded = { digest: string };

export function modelAdded(digest: string): DomainEvent {
  const payload: ModelAdded = { digest };
  return { institutionId: INSTALLATION, topic: MODEL_ADDED, payload, priority: 5 };
}
