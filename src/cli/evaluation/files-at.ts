import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError } from '../failure.js';

/** A file, or every file below a folder, in the order of their names. @throws CommandError `dataset-invalid` where there is neither */
export async function filesAt(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => { throw new CommandError('dataset-invalid', `There is no readable file or folder ${path}`, { cause: error }); });
  if (!found.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort((a, b) => (a < b ? -1 : 1));
}
