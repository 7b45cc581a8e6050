import { sha256Hex } from '../../kernel/digest.js';

/** One file of a model pack; `path` as the manifest names it. */
export interface HashedFile {
  path: string;
  /** Of the file's bytes, lower-case hex. */
  sha256: string;
}

/**
 * The identity of a model: sha256 over a list of its files with their digests, one line `<sha256 hex>  <path>\n` each, sorted by
 * path, `manifest.json` among them. That is what `sha256sum` prints, so a person can check it:
 * `sha256sum $(ls manifest.json *.onnx | LC_ALL=C sort) | sha256sum`.
 *
 * @param manifest  the bytes of `manifest.json` as they are on disk; another layout is another model
 * @returns `sha256:<hex>`
 */
export function modelDigest(manifest: Uint8Array, files: readonly HashedFile[]): string {
  const lines = [{ path: 'manifest.json', sha256: sha256Hex(manifest) }, ...files]
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .map(({ path, sha256 }) => `${sha256}  ${path}\n`);
  return `sha256:${sha256Hex(lines.join(''))}`;
}
