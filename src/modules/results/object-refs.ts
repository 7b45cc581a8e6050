import type { ObjectRef } from './results.contract.js';

/** Of the newest version that has objects. A SEG whose segments were all rejected has none after it, and the one before does not stand. */
export function newestOf(objects: readonly ObjectRef[], kind: ObjectRef['kind']): ObjectRef | undefined {
  const newest = Math.max(...objects.map(({ version }) => version));
  return objects.find((one) => one.version === newest && one.kind === kind);
}
