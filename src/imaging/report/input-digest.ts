import { sha256Hex } from '../../kernel/digest.js';

/** `sha256:` over the digests of the instances that were read, sorted by SOP Instance UID. */
export function inputDigestOf(instances: readonly { sopInstanceUid: string; sha256: string }[]): string {
  const sorted = [...instances].sort((a, b) => (a.sopInstanceUid < b.sopInstanceUid ? -1 : 1));
  return `sha256:${sha256Hex(sorted.map(({ sha256 }) => sha256).join(''))}`;
}
