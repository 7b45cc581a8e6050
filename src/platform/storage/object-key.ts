import { AppError } from '../../kernel/errors.js';
import { OBJECT_KEY } from './object-store.js';

/** What `ObjectStore.list` tells. */
export interface ListedObject {
  key: string;
  sizeBytes: number;
  modifiedAt: Date;
}

/** @throws AppError `internal`: keys are made by us, so a bad one is our mistake */
export function assertObjectKey(key: string): void {
  if (!OBJECT_KEY.test(key)) throw new AppError('internal', { detail: 'The key of an object is malformed.' });
}

/** The deepest folder that holds every key with this prefix; empty for all. @throws AppError `internal` */
export function folderOfPrefix(prefix: string): string {
  if (prefix !== '') assertObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
  return prefix.slice(0, Math.max(0, prefix.lastIndexOf('/')));
}
