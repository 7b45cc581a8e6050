import { openAsBlob } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { CommandError } from './failure.js';
import type { FileFate, Installation } from './installation.js';
import { ProgressBar } from './terminal.js';

export interface LocalFile {
  path: string;
  /** Relative to the folder that was named. */
  name: string;
  sizeBytes: number;
}

// One request carries as many files as make progress visible and a failure cheap.
const FILES_PER_REQUEST = 32;
const BYTES_PER_REQUEST = 64 * 1024 * 1024;

/** The file itself, or every file below a folder but hidden ones, by name. @throws CommandError `no-files` */
export async function gatherFiles(path: string): Promise<LocalFile[]> {
  const about = await stat(path);
  if (about.isFile()) return [{ path, name: basename(path), sizeBytes: about.size }];
  const files: LocalFile[] = [];
  const visit = async (folder: string): Promise<void> => {
    const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const at = join(folder, entry.name);
      if (entry.isDirectory()) await visit(at);
      else if (entry.isFile()) files.push({ path: at, name: relative(path, at), sizeBytes: (await stat(at)).size });
    }
  };
  await visit(path);
  if (files.length === 0) throw new CommandError('no-files', `There are no files in ${path}`);
  return files;
}

/** Uploads files in several requests with a progress bar; the bytes are streamed from disk. */
export async function uploadAll(installation: Installation, files: readonly LocalFile[], fields: Readonly<Record<string, string>>, isQuiet: boolean): Promise<FileFate[]> {
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const bar = new ProgressBar('Upload', isQuiet);
  const fates: FileFate[] = [];
  let sent = 0;
  let done = 0;
  for (const batch of batches(files)) {
    bar.update(total === 0 ? 0 : sent / total, `${String(done)} of ${String(files.length)} files`);
    // The server keeps no folders of a file's name, and two folders may hold files of one name: a number tells them apart.
    const content = await Promise.all(batch.map(async ({ path }, index) => ({ name: `${String(index)}_${basename(path)}`, content: await openAsBlob(path) })));
    fates.push(...(await installation.upload(content, fields)).map((fate) => ({ ...fate, file: localName(fate.file, batch) })));
    sent += batch.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    done += batch.length;
  }
  bar.update(1, `${String(done)} of ${String(files.length)} files`);
  if (files.length > 1) bar.finish();
  return fates;
}

/** `3_a.zip/x.dcm`, as it was sent, is `folder/a.zip/x.dcm` here. */
function localName(sent: string, batch: readonly LocalFile[]): string {
  const [, index = '', rest = ''] = /^(\d+)_[^/]*(.*)$/s.exec(sent) ?? [];
  const file = batch[Number(index)];
  return index === '' || !file ? sent : `${file.name}${rest}`;
}

function* batches(files: readonly LocalFile[]): Generator<LocalFile[]> {
  let batch: LocalFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && (batch.length >= FILES_PER_REQUEST || bytes + file.sizeBytes > BYTES_PER_REQUEST)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}
