import { generateKeyPairSync, sign } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelDigest } from '../../../src/imaging/model/digest.js';
import { signDigest } from '../../../src/platform/packs/signature.js';
import { archiveOf, packArchive, packFolder, sha256, uploadPack, type ModelView } from '../../support/model-pack.js';
import { eventually, ROOT, startProduct, temporaryFile, type Product } from '../../support/product.js';
import { modelsDirectory } from './model-packs.js';

const trusted = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');

describe('packs that are uploaded', () => {
  let product: Product;

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']), MODEL_SIGNERS: trusted.publicKey.export({ type: 'spki', format: 'pem' }) } });
  });
  afterAll(() => product.stop());

  const model = (name: string, version = '1.0.0'): Promise<ModelView> => product.json<ModelView>(`/api/v1/models/${name}/${version}`);
  const tried = (name: string, version = '1.0.0'): Promise<ModelView> => eventually(`${name} to be tried`, async () => { const view = await model(name, version); return view.state !== 'checking' && view; });

  it('are checked by a worker, and the very same pack again changes nothing', async () => {
    const archive = await packArchive(packFolder('bright', { version: '1.1.0' }), [], 'bright-1.1.0/');
    const { status, headers, body } = await uploadPack(product, archive, { 'idempotency-key': 'first' });
    expect([status, headers.get('location'), body.source]).toEqual([202, '/api/v1/models/bright/1.1.0', 'upload']);
    expect(await tried('bright', '1.1.0')).toMatchObject({ state: 'available', digest: body.digest, signedBy: null });
    const again = await uploadPack(product, archive, { 'idempotency-key': 'first' });
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, 'true']);
    expect(await uploadPack(product, archive)).toMatchObject({ status: 200, body: { state: 'available', digest: body.digest } });
    expect(readdirSync(join(product.dataDir, 'model-uploads'))).toEqual([]);
    expect(readdirSync(join(product.dataDir, 'model-cache'))).toEqual([body.digest.replace('sha256:', '')]);
  });

  it('are refused when another pack has the name and version', async () => {
    expect(await uploadPack(product, await packArchive(packFolder('bright', { title: 'Another' })))).toMatchObject({ status: 409, body: { code: 'model-conflict' } });
  });

  it('are rejected in the words of ONNX Runtime when an operator is absent', async () => {
    expect(await uploadPack(product, await packArchive(packFolder('absent-operator')))).toMatchObject({ status: 202, body: { state: 'checking' } });
    const { state, reason } = await tried('absent-operator');
    expect([state, reason?.code]).toEqual(['rejected', 'model-load-failed']);
    expect(reason?.detail).toMatch(/Frobnicate/);
    expect(reason?.detail).not.toContain(product.dataDir);
  });

  it('are rejected when the network gives no numbers, and may come again mended', async () => {
    await uploadPack(product, await packArchive(packFolder('nan', { name: 'mended' })));
    expect(await tried('mended')).toMatchObject({ state: 'rejected', reason: { code: 'model-output-invalid' } });
    const mended = await uploadPack(product, await packArchive(packFolder('bright', { name: 'mended' })));
    expect(mended).toMatchObject({ status: 202, body: { state: 'checking' } });
    expect(await tried('mended')).toMatchObject({ state: 'available', digest: mended.body.digest });
  });

  it('are refused at once for what is wrong with the file', async () => {
    const good = readFileSync(await packArchive(packFolder('bright', { name: 'cut' })));
    const manifest = readFileSync(join(packFolder('bright', { name: 'tampered' }), 'manifest.json'));
    const refusals: [string, string, number, string, RegExp?][] = [
      ['empty', temporaryFile('empty', new Uint8Array(0)), 422, 'empty-file'],
      ['no archive', temporaryFile('text', Buffer.from('this is no archive')), 422, 'invalid-archive'],
      ['truncated', temporaryFile('cut', good.subarray(0, good.length - 60)), 422, 'truncated-file'],
      ['no manifest', await archiveOf({ 'README.md': 'x' }), 422, 'manifest-invalid'],
      ['no JSON', await archiveOf({ 'manifest.json': '{' }), 422, 'manifest-invalid'],
      ['typing error', await packArchive(packFolder('bright', { name: 'typo', preprocesing: {} })), 422, 'manifest-invalid', /\/preprocesing: .*did you mean "preprocessing"/],
      ['wrong digest', await archiveOf({ 'manifest.json': manifest, 'model.onnx': 'other bytes' }), 422, 'manifest-invalid', /model\.onnx has the sha256/],
      ['missing file', await archiveOf({ 'manifest.json': manifest }), 422, 'manifest-invalid', /model\.onnx is not in the pack/],
      ['MONAI bundle of no known kind', await archiveOf({ 'configs/metadata.json': '{"name":"Tea leaves","version":"0.1.0"}', 'models/model.onnx': 'x' }), 422, 'manifest-invalid', /MONAI|Tea leaves/],
    ];
    for (const [what, file, status, code, detail] of refusals) {
      const { status: answered, body } = await uploadPack(product, file);
      expect([what, answered, body.code]).toEqual([what, status, code]);
      if (detail) expect(body.detail).toMatch(detail);
    }
    expect(await uploadPack(product, await packArchive(packFolder('bright')), {}, 'file')).toMatchObject({ status: 400, body: { code: 'invalid-body' } });
    expect((await product.fetch('/api/v1/models', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).status).toBe(415);
    expect(readdirSync(join(product.dataDir, 'model-uploads'))).toEqual([]);
  });

  it('may be MONAI bundles, of which a manifest is made', async () => {
    const network = readFileSync(join(ROOT, 'test', 'model-packs', 'segresnet-tiny', 'model.onnx'));
    const metadata = {
      version: '0.5.3', name: 'BraTS MRI segmentation', task: 'Multimodal Brain Tumor segmentation',
      network_data_format: {
        inputs: { image: { modality: 'MR', num_channels: 4, dtype: 'float32', channel_def: { 0: 'T1c', 1: 'T1', 2: 'T2', 3: 'FLAIR' } } },
        outputs: { pred: { format: 'segmentation', num_channels: 3, channel_def: { 0: 'Tumor core', 1: 'Whole tumor', 2: 'Enhancing tumor' } } },
      },
    };
    const inference = {
      preprocessing: { transforms: [{ _target_: 'NormalizeIntensityd', keys: 'image', nonzero: true, channel_wise: true }] },
      inferer: { _target_: 'SlidingWindowInferer', roi_size: [32, 24, 16], sw_batch_size: 1, overlap: 0.5 },
      postprocessing: { transforms: [{ _target_: 'Activationsd', sigmoid: true }, { _target_: 'AsDiscreted', threshold: 0.5 }] },
    };
    const archive = await archiveOf({ 'brats/configs/metadata.json': JSON.stringify(metadata), 'brats/configs/inference.json': JSON.stringify(inference), 'brats/models/model.onnx': network });
    const { status, body } = await uploadPack(product, archive);
    expect([status, body]).toMatchObject([202, { name: 'brats-mri-segmentation', version: '0.5.3', analysis: 'brain-tumour-segmentation', recipe: 'sliding-window-segmentation' }]);
    expect((await uploadPack(product, archive)).body.digest).toBe(body.digest);
  });

  it('tell who signed them, and are refused when the signature is wrong', async () => {
    const signed = (name: string, key: typeof trusted, digest?: string): string => {
      const folder = packFolder('bright', { name });
      const own = modelDigest(readFileSync(join(folder, 'manifest.json')), [{ path: 'model.onnx', sha256: sha256(readFileSync(join(folder, 'model.onnx'))) }]);
      writeFileSync(join(folder, 'signature.json'), JSON.stringify(signDigest(digest ?? own, key.privateKey.export({ type: 'pkcs8', format: 'pem' }))));
      writeFileSync(join(folder, 'manifest.sig'), sign(null, Buffer.from(own), key.privateKey));
      return folder;
    };
    const { body } = await uploadPack(product, await packArchive(signed('signed', trusted), ['signature.json']));
    expect(body.signedBy).toMatch(/^[\w-]{43}$/);
    expect((await uploadPack(product, await packArchive(signed('signed-bare', trusted), ['manifest.sig']))).body.signedBy).toBe(body.signedBy);
    for (const folder of [signed('by-a-stranger', stranger), signed('over-another', trusted, `sha256:${'0'.repeat(64)}`)]) {
      expect(await uploadPack(product, await packArchive(folder, ['signature.json']))).toMatchObject({ status: 422, body: { code: 'model-signature-invalid' } });
    }
  });

  it('are for those who run the installation', async () => {
    const { items } = await product.json<{ items: { method?: string }[] }>('/api/v1/models');
    expect(items.length).toBeGreaterThan(3);
    const key = await product.json<{ key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'reader', scopes: ['models:read'] }) });
    const answer = await uploadPack(product, await packArchive(packFolder('bright', { name: 'forbidden' })), { 'x-api-key': key.key });
    expect(answer).toMatchObject({ status: 403 });
  });
});

describe('an installation that takes signed packs only', () => {
  let product: Product;

  beforeAll(async () => {
    const models = modelsDirectory(['bright']);
    product = await startProduct({ env: { MODELS_DIR: models, MODEL_SIGNATURE_REQUIRED: 'true', MODEL_SIGNERS: JSON.stringify(trusted.publicKey.export({ format: 'jwk' })) } });
  });
  afterAll(() => product.stop());

  it('refuses others, in MODELS_DIR as over HTTP', async () => {
    expect(await product.json<ModelView>('/api/v1/models/bright/1.0.0')).toMatchObject({ state: 'rejected', reason: { code: 'model-signature-invalid' } });
    expect(await uploadPack(product, await packArchive(packFolder('bright', { name: 'unsigned' })))).toMatchObject({ status: 422, body: { code: 'model-signature-invalid' } });
  });
});
