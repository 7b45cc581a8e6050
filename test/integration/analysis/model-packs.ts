import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, temporaryDirectory } from '../../support/product.js';

export const PACKS = join(ROOT, 'test', 'model-packs');

/**
 * A MODELS_DIR with copies of the given packs of test/model-packs.
 *
 * @param weights  folder whose files are linked into every pack, for packs without their networks
 */
export function modelsDirectory(packs: readonly string[], weights: Record<string, string> = {}): string {
  const folder = join(temporaryDirectory(), 'models');
  mkdirSync(folder);
  for (const pack of packs) {
    cpSync(join(PACKS, pack), join(folder, pack), { recursive: true });
    const file = weights[pack];
    if (file !== undefined) symlinkSync(file, join(folder, pack, file.split('/').at(-1) ?? ''));
  }
  return folder;
}

/** Changes a manifest of a MODELS_DIR. */
export function writeManifest(folder: string, pack: string, manifest: unknown): void {
  mkdirSync(join(folder, pack), { recursive: true });
  writeFileSync(join(folder, pack, 'manifest.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
}
