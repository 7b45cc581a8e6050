import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { folderOfPack, unpackArchive } from '../../../src/platform/packs/pack-archive.js';
import { archiveOf } from '../../support/model-pack.js';
import { temporaryDirectory, temporaryFile } from '../../support/product.js';

function folder(): string {
  const path = join(temporaryDirectory(), 'target');
  mkdirSync(path);
  return path;
}

describe('an archive of a pack', () => {
  it('comes out as it went in, folders included', async () => {
    const target = folder();
    const weights = Buffer.alloc(3_000_000, 'weights');
    await unpackArchive(await archiveOf({ 'pack/manifest.json': '{}', 'pack/networks/a.onnx': weights, 'pack/empty': '' }), target);
    expect(readFileSync(join(target, 'pack/networks/a.onnx')).equals(weights)).toBe(true);
    expect(readFileSync(join(target, 'pack/empty')).length).toBe(0);
    expect(await folderOfPack(target, ['manifest.json'])).toBe(join(target, 'pack'));
    expect(await folderOfPack(join(target, 'pack'), ['manifest.json'])).toBe(join(target, 'pack'));
  });

  it('is a bomb beyond its limits, which nothing is written of', async () => {
    const target = folder();
    await expect(unpackArchive(await archiveOf({ a: 'x', b: Buffer.alloc(2_000) }), target, { files: 10, bytes: 1_000 })).rejects.toMatchObject({ code: 'archive-bomb' });
    expect(existsSync(join(target, 'b'))).toBe(false);
    await expect(unpackArchive(await archiveOf({ a: 'x', b: 'y', c: 'z' }), folder(), { files: 2, bytes: 1_000 })).rejects.toMatchObject({ code: 'archive-bomb' });
  });

  it('is refused when two entries have one path', async () => {
    const archive = await archiveOf({ 'a': 'x', 'b/c': 'y' });
    await unpackArchive(archive, folder());
    const target = folder();
    writeFileSync(join(target, 'a'), 'there');
    await expect(unpackArchive(archive, target)).rejects.toMatchObject({ code: 'invalid-archive' });
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('there');
  });

  it('is refused when it is something else, gzipped or not', async () => {
    for (const bytes of [Buffer.from('text'), gzipSync(Buffer.alloc(600, 'text')), gzipSync('short')]) {
      await expect(unpackArchive(temporaryFile('pack.tgz', bytes), folder())).rejects.toMatchObject({ code: expect.stringMatching(/^(invalid-archive|truncated-file)$/) as string });
    }
    await expect(folderOfPack(folder(), ['manifest.json'])).rejects.toMatchObject({ code: 'manifest-invalid' });
  });
});
