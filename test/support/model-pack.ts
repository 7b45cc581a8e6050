import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openAsBlob } from 'node:fs';
import { writeArchive } from '../../src/platform/packs/tar-writer.js';
import { ROOT, temporaryDirectory, type Product } from './product.js';

export interface ModelView {
  name: string;
  version: string;
  digest: string;
  state: string;
  source: string;
  signedBy: string | null;
  reason?: { code: string; detail: string };
}

type Changes = Record<string, unknown> & { name?: string; version?: string };

/** A copy of a pack of test/model-packs with another manifest, in a folder of its own. */
export function packFolder(pack: string, changes: Changes = {}, labels: Record<string, unknown> = {}): string {
  const folder = join(temporaryDirectory(), 'pack');
  cpSync(join(ROOT, 'test', 'model-packs', pack), folder, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as { labels: object[] };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, ...changes, labels: manifest.labels.map((label) => ({ ...label, ...labels })) }, null, 2));
  return folder;
}

/** A `.tgz` of a folder's manifest, network and what else is named. */
export async function packArchive(folder: string, more: readonly string[] = [], prefix = ''): Promise<string> {
  const target = join(temporaryDirectory(), 'pack.tgz');
  await writeArchive(['manifest.json', 'model.onnx', ...more].map((path) => ({ path: `${prefix}${path}`, file: join(folder, path) })), target);
  return target;
}

/** A `.tgz` of files with these contents. */
export async function archiveOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = temporaryDirectory();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const target = join(folder, '.tgz');
  await writeArchive(Object.keys(files).map((path) => ({ path, file: join(folder, path) })), target);
  return target;
}

/** Uploads a file as a pack. */
export async function uploadPack(product: Product, file: string, headers: Record<string, string> = {}, field = 'pack'): Promise<{ status: number; headers: Headers; body: ModelView & { code?: string; detail?: string } }> {
  const form = new FormData();
  form.append(field, await openAsBlob(file), 'pack.tgz');
  const response = await product.fetch('/api/v1/models', { method: 'POST', body: form, headers });
  return { status: response.status, headers: response.headers, body: (await response.json()) as ModelView & { code?: string } };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
