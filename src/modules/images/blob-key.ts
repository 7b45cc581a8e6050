import { createHash, randomUUID } from 'node:crypto';

/** A new name for the bytes of an instance. Neighbours of one study lie in one folder; the UID itself never gets into a path. */
export function blobKeyOf(institutionId: string, studyInstanceUid: string): string {
  const study = createHash('sha256').update(`${institutionId}/${studyInstanceUid}`).digest('hex').slice(0, 24);
  return `${institutionId}/${study}/${randomUUID()}`;
}
