/** What `writeFully` needs of a file. */
export interface PositionalWriter {
  /** Takes the first of the bytes, all of them as a rule. @returns how many */
  writev(chunks: readonly Uint8Array[], position: number): Promise<number>;
}

/**
 * Writes `chunks` one after the other, from `position` on, in bytes from the file's beginning. One call of the system may take
 * only the first bytes, and a disk that has just become full does so: only the next call says why.
 *
 * @throws what the system answers; an error with the code `ENOSPC` when it takes nothing and gives no reason
 * @see POSIX.1-2017, writev()
 */
export async function writeFully(file: PositionalWriter, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let at = position;
  for (let rest = chunks.filter(({ byteLength }) => byteLength > 0); rest.length > 0;) {
    const written = await file.writev(rest, at);
    if (written === 0) throw Object.assign(new Error('The disk takes no more bytes'), { code: 'ENOSPC' });
    at += written;
    rest = behind(rest, written);
  }
}

function behind(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skipped = 0;
  return chunks.flatMap((chunk) => {
    const from = Math.min(chunk.byteLength, bytes - skipped);
    skipped += from;
    return from < chunk.byteLength ? [chunk.subarray(from)] : [];
  });
}
