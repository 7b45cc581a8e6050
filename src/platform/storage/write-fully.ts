/** What `writeFully` needs of a `FileHandle`. */
export interface PositionalWriter {
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
}

/**
 * Writes all of `chunk` at `position`, in bytes from the file's beginning. One call of the system may take only the first
 * bytes, and a disk that has just become full does so: only the next call says why.
 *
 * @throws what the system answers; an error with the code `ENOSPC` when it takes nothing and gives no reason
 * @see POSIX.1-2017, write()
 */
export async function writeFully(handle: PositionalWriter, chunk: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < chunk.byteLength) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.byteLength - written, position + written);
    if (bytesWritten === 0) throw Object.assign(new Error('The disk takes no more bytes'), { code: 'ENOSPC' });
    written += bytesWritten;
  }
}
