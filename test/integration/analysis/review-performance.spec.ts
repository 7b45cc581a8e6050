import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig } from '../../../src/platform/config.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { ended, uploadXray, type AnalysisView } from '../../support/flow.js';
import { ownerOf } from '../../support/owner.js';
import { ADMIN, eventually, startProduct, type Product } from '../../support/product.js';
import { modelsDirectory } from './model-packs.js';

interface Figures { results: number; reviewed: number; accepted: number; acceptedBySignOff: number; edited: number; rejected: number; added: number; acceptRate: number | null; falsePositivesPerStudy: number | null; missedPerStudy: number | null; labelDisagreementRate: number | null }
interface Performance {
  versions: { reviews: Figures & { labels: object[] }; series: { by: string; group: string; buckets: (Figures & { from: string; topScore: { mean: number } | null; inputs: { name: string; mean: number }[] })[] }[] }[];
}

const RESULTS = 4;
const code = { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' };

describe('what persons make of results', () => {
  let product: Product;
  let database: OpenedDatabase;
  let owner: PrismaClient;
  const results: { id: string; findings: string[] }[] = [];

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']) } });
    database = await openDatabase(parseConfig({ DATA_DIR: product.dataDir }), createLogger('silent'));
    owner = ownerOf(database);
    for (let seed = 1; seed <= RESULTS; seed++) {
      const studyInstanceUid = await uploadXray(product, seed, { patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
      const run = await eventually('a planned run', async () => (await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${studyInstanceUid}`)).items[0]);
      const { resultId = '' } = await ended(product, run.id);
      // Three nodules each, from two scanners; the last two of a week before.
      const findings = [0, 1, 2].map(() => ({ id: uuidv7(), kind: 'nodule', code, score: 0.5 + seed / 10, measurements: [{ name: 'diameter', value: 8, unit: 'mm' }] }));
      const row = await owner.result.findUniqueOrThrow({ where: { id: resultId } });
      const source = { station: `CT${String(seed % 2)}`, scanner: seed <= 2 ? 'ACME One' : null, input: { frames: 100 * seed } };
      const createdAt = new Date(seed <= 2 ? '2026-11-18T10:00:00Z' : '2026-11-11T10:00:00Z');
      const bright = (row.labels as { name: string }[]).map((label) => ({ ...label, probability: 0.1, positive: false }));
      // How sure a model is that nothing is there is no score of anything that it found.
      const labels = seed === RESULTS ? [...bright, { name: 'No_Finding', probability: 0.99, threshold: 0.5, positive: true }] : bright;
      await owner.result.update({ where: { id: resultId }, data: { findings, labels, createdAt, provenance: { ...(row.provenance as object), details: { source } } } });
      results.push({ id: resultId, findings: findings.map(({ id }) => id) });
    }
  });
  afterAll(async () => {
    await owner.$disconnect();
    await database.close();
    await product.stop();
  });

  const post = async (index: number, what: string, body: object): Promise<void> => {
    const response = await product.fetch(`/api/v1/results/${results[index]?.id ?? ''}/${what}`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify(body) });
    expect(response.ok, await response.text()).toBe(true);
  };
  const figures = async (query = ''): Promise<Performance['versions'][number]> => {
    const { versions: [version] } = await product.json<Performance>(`/api/v1/models/bright/performance${query}`);
    if (!version) throw new Error('no version');
    return version;
  };

  it('has what images are like from the run itself', async () => {
    const study = await uploadXray(product, 99, { patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
    const result = await eventually('a result', async () => (await product.json<{ items: { id: string; provenance: { details: { source: { input: object } } } }[] }>(`/api/v1/results?studyInstanceUid=${study}`)).items[0]);
    expect(result.provenance.details.source).toMatchObject({ station: null, input: { frames: 1, rows: expect.any(Number) as number } });
    expect((await product.fetch(`/api/v1/studies/${study}`, { method: 'DELETE' })).status).toBe(204);
    await eventually('the purge', async () => (await owner.result.count({ where: { id: result.id } })) === 0);
  });

  it('is counted as one counts by hand', async () => {
    expect((await figures()).reviews).toMatchObject({ results: RESULTS, reviewed: 0, acceptRate: null });
    const [first, second] = results;
    await post(0, 'reviews', { decisions: [
      { decision: 'accept', finding: first?.findings[0] }, { decision: 'reject', finding: first?.findings[1], reason: 'normal-anatomy' }, { decision: 'edit', finding: first?.findings[2], measurements: [{ name: 'diameter', value: 9, unit: 'mm' }] },
      { decision: 'add', kind: 'nodule', code }, { decision: 'label', label: 'Bright', agrees: false },
    ] });
    await post(1, 'reviews', { decisions: [{ decision: 'reject', finding: second?.findings[0], reason: 'duplicate' }, { decision: 'reject', finding: second?.findings[1], reason: 'artefact' }] });
    await post(1, 'sign-off', { password: ADMIN.password });
    await post(2, 'sign-off', { password: ADMIN.password });
    const { reviews, series } = await figures();
    // Judged: 3, 3 and 3 findings of three studies. Stand: 1 + 1 edited, 1 by signature, 3 by signature. Wrong: 1 and 1; the duplicate is not.
    expect(reviews).toEqual({
      results: 4, reviewed: 3, accepted: 5, acceptedBySignOff: 4, edited: 1, rejected: 3, added: 1, acceptRate: 6 / 9, falsePositivesPerStudy: 2 / 3, missedPerStudy: 1 / 3, labelDisagreementRate: 1 / 3,
      labels: [{ label: 'Bright', judged: 3, agreed: 2, falsePositives: 0, falseNegatives: 1 }],
    });
    const all = series.find(({ by }) => by === 'all');
    expect(all?.buckets.map(({ from, results: count, reviewed, acceptRate }) => [from.slice(0, 10), count, reviewed, acceptRate])).toEqual([['2026-11-09', 2, 1, 1], ['2026-11-16', 2, 2, 0.5]]);
    expect(all?.buckets.map(({ topScore }) => topScore?.mean)).toEqual([expect.closeTo(0.85, 9), expect.closeTo(0.65, 9)]);
    expect(all?.buckets[0]?.inputs).toMatchObject([{ name: 'frames', mean: 350 }]);
    expect(series.map(({ by, group, buckets }) => [by, group, buckets.reduce((sum, bucket) => sum + bucket.results, 0)])).toEqual([
      ['all', 'all', 4], ['station', 'CT0', 2], ['station', 'CT1', 2], ['scanner', 'ACME One', 2], ['scanner', 'unknown', 2]]);
    expect((await figures('?bucket=day&of=installation')).series[0]?.buckets.map(({ from }) => from.slice(0, 10))).toEqual(['2026-11-11', '2026-11-18']);
    expect((await product.fetch('/api/v1/models/bright/performance?bucket=year')).status).toBe(400);
  });

  it('is in the metrics', async () => {
    const text = await (await fetch(`${product.url}/metrics`)).text();
    expect(text).toMatch(/^healthvision_model_accept_rate\{model="bright",version="1\.0\.0"\} 0\.6666/m);
    expect(text).toMatch(/^healthvision_model_false_positives_per_study\{model="bright",version="1\.0\.0"\} 0\.6666/m);
    expect(text).toMatch(/^healthvision_model_label_disagreement_rate\{/m);
    for (const { id } of results) expect(text).not.toContain(id);
  });

  it('counts what is taken back and amended as it stands', async () => {
    await post(1, 'amendments', { reason: 'The artefact is a nodule', decisions: [{ decision: 'accept', finding: results[1]?.findings[1] }] });
    expect((await figures()).reviews).toMatchObject({ accepted: 6, acceptedBySignOff: 4, rejected: 2, falsePositivesPerStudy: 1 / 3 });
    const added = await product.json<{ findings: { id: string; review?: { state: string } }[] }>(`/api/v1/results/${results[0]?.id ?? ''}`);
    await post(0, 'reviews', { decisions: [{ decision: 'reject', finding: added.findings.find(({ review }) => review?.state === 'added')?.id, reason: 'not-present' }] });
    // Somebody's own mistake is none of the model's.
    expect((await figures()).reviews).toMatchObject({ added: 0, missedPerStudy: 0, rejected: 2, falsePositivesPerStudy: 1 / 3 });
  });
});
