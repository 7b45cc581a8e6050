import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packFolder } from '../../support/model-pack.js';
import { ROOT, startProduct, type Product } from '../../support/product.js';
import { modelsDirectory } from './model-packs.js';

const run = promisify(execFile);

describe('models from the command line', () => {
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']) } });
  });
  afterAll(() => product.stop());

  it('are installed, activated and rolled back', { timeout: 300_000 }, async () => {
    const cli = async (...args: string[]): Promise<unknown> => {
      const { stdout } = await run(process.execPath, [join(ROOT, 'src', 'cli', 'launch.mjs'), 'models', ...args, '--json', '--url', product.url, '--token', await product.token()]);
      return JSON.parse(stdout) as unknown;
    };
    expect(await cli('install', packFolder('bright', { version: '4.0.0' }))).toMatchObject({ name: 'bright', version: '4.0.0', state: 'available' });
    expect(await cli('activate', 'bright@4.0.0', '--reason', 'Newer')).toMatchObject({ version: '4.0.0', displaced: { version: '1.0.0' } });
    expect(await cli('list')).toMatchObject({ items: expect.arrayContaining([expect.objectContaining({ version: '4.0.0', state: 'active' })]) as unknown });
    expect(await cli('rollback', 'bright')).toMatchObject({ version: '1.0.0', displaced: { version: '4.0.0' } });
    await expect(cli('install', packFolder('absent-operator'))).rejects.toThrow(/Frobnicate/);
    expect(await cli('install', packFolder('bright', { version: '2.0.0' }))).toMatchObject({ state: 'available' });
    // Without --url in the database itself.
    const { stdout } = await run(process.execPath, [join(ROOT, 'src', 'cli', 'launch.mjs'), 'models', 'activate', 'bright@2.0.0', '--json'], { env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: product.dataDir } });
    expect(JSON.parse(stdout)).toMatchObject({ version: '2.0.0', displaced: { version: '1.0.0' } });
    expect(await product.json('/api/v1/models/bright/2.0.0')).toMatchObject({ state: 'active' });
  });
});
