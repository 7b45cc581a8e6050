import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig } from '../../../src/platform/config.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { ended, uploadXray, type AnalysisView } from '../../support/flow.js';
import { ownerOf } from '../../support/owner.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { modelsDirectory } from './model-packs.js';

interface Reproduction {
  analysisId: string;
  status: string;
  outcome: string | null;
  comparison: { inputDigest: object | null; labels: { maxProbabilityDifference: number; changed: { name: string }[] }; findings: { missing: string[] } } | null;
}

describe('a result that is computed again', () => {
  let product: Product;
  let database: OpenedDatabase;
  let owner: PrismaClient;
  let result: { resultId: string; studyInstanceUid: string };

  beforeAll(async () => {
    product = await startProduct({ env: { MODELS_DIR: modelsDirectory(['bright']) } });
    database = await openDatabase(parseConfig({ DATA_DIR: product.dataDir }), createLogger('silent'));
    owner = ownerOf(database);
    const studyInstanceUid = await uploadXray(product, 1, { patientAge: '40', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
    const run = await eventually('a planned run', async () => (await product.json<{ items: AnalysisView[] }>(`/api/v1/analyses?studyInstanceUid=${studyInstanceUid}`)).items[0]);
    const { resultId = '' } = await ended(product, run.id);
    result = { resultId, studyInstanceUid };
  });
  afterAll(async () => {
    await owner.$disconnect();
    await database.close();
    await product.stop();
  });

  const reproduce = (id: string, headers: Record<string, string> = {}): Promise<Response> => product.fetch(`/api/v1/results/${id}/reproduce`, { method: 'POST', headers });
  const outcomeOf = async (response: Response): Promise<Reproduction> => {
    const { id } = (await response.json()) as AnalysisView;
    expect([response.status, response.headers.get('location')]).toEqual([202, `/api/v1/analyses/${id}`]);
    expect((await ended(product, id)).status).toBe('succeeded');
    const { items } = await product.json<{ items: Reproduction[] }>(`/api/v1/results/${result.resultId}/reproductions`);
    const found = items.find(({ analysisId }) => analysisId === id);
    if (!found) throw new Error('the reproduction is not listed');
    return found;
  };

  it('is identical, and nobody else hears of it', async () => {
    const counts = (): Promise<number[]> => Promise.all([owner.result.count(), owner.outboxEvent.count({ where: { topic: { not: 'analysis.requested' } } }), owner.notification.count()]);
    await eventually('the notifications of the result', async () => (await owner.notification.count()) === (await owner.outboxEvent.count({ where: { topic: { in: ['result.ready', 'result.critical'] } } })));
    const before = await counts();
    const answer = await outcomeOf(await reproduce(result.resultId));
    expect(answer).toMatchObject({ status: 'succeeded', outcome: 'identical', comparison: { inputDigest: null, labels: { maxProbabilityDifference: 0, changed: [] } } });
    expect(await counts()).toEqual(before);
    expect((await product.json<{ items: unknown[] }>(`/api/v1/analyses?studyInstanceUid=${result.studyInstanceUid}`)).items).toHaveLength(1);
    expect((await product.json<AnalysisView>(`/api/v1/analyses/${answer.analysisId}`)).resultId).toBeUndefined();
  });

  it('is compared with what the model made, not with what people made of it', async () => {
    const labels = (await product.json<{ labels: { name: string }[] }>(`/api/v1/results/${result.resultId}`)).labels;
    const reviewed = await product.fetch(`/api/v1/results/${result.resultId}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify({ decisions: [{ decision: 'label', label: labels[0]?.name, agrees: false }] }) });
    expect(reviewed.status).toBe(201);
    expect((await outcomeOf(await reproduce(result.resultId))).outcome).toBe('identical');
  });

  it('says what differs when images or numbers are others', async () => {
    const row = await owner.result.findUniqueOrThrow({ where: { id: result.resultId } });
    const labels = row.labels as unknown as { probability: number }[];
    const moved = labels.map((label) => ({ ...label, probability: label.probability > 0.5 ? label.probability - 0.125 : label.probability + 0.125 }));
    await owner.result.update({ where: { id: row.id }, data: { labels: moved, provenance: { ...(row.provenance as object), inputDigest: 'sha256:0' } } });
    const answer = await outcomeOf(await reproduce(result.resultId));
    expect(answer.outcome).toBe('different');
    expect(answer.comparison?.inputDigest).toMatchObject({ original: 'sha256:0' });
    expect(answer.comparison?.labels.maxProbabilityDifference).toBeCloseTo(0.125, 9);
    await owner.result.update({ where: { id: row.id }, data: { status: 'withheld' } });
    const { items: [hidden] } = await product.json<{ items: Reproduction[] }>(`/api/v1/results/${result.resultId}/reproductions`);
    expect(hidden).toMatchObject({ analysisId: answer.analysisId, outcome: 'different', comparison: null });
    await owner.result.update({ where: { id: row.id }, data: { status: row.status } });
    await owner.result.update({ where: { id: row.id }, data: { labels: labels, provenance: row.provenance as object } });
  });

  it('is computed once at a time, and once for an Idempotency-Key', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => reproduce(result.resultId)));
    const ids = new Set(await Promise.all(answers.map(async (answer) => ((await answer.json()) as AnalysisView).id)));
    // A run may end before the last request comes; one that is under way is never doubled.
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(ids.size);
    for (const id of ids) await ended(product, id);
    const [first, again] = [await reproduce(result.resultId, { 'idempotency-key': 'once' }), await reproduce(result.resultId, { 'idempotency-key': 'once' })];
    const id = ((await first.json()) as AnalysisView).id;
    expect([again.headers.get('idempotency-replayed'), ((await again.json()) as AnalysisView).id]).toEqual(['true', id]);
    await ended(product, id);
  });

  it('names what is gone: the result, the model, the images', async () => {
    const codeOf = async (response: Response): Promise<[number, string]> => [response.status, ((await response.json()) as { code: string }).code];
    expect(await codeOf(await reproduce(uuidv7()))).toEqual([404, 'result-not-found']);
    const [model] = await owner.model.findMany({ where: { name: 'bright' } });
    if (!model) throw new Error('the model is not there');
    // Other content of the same name and version.
    await owner.model.update({ where: { id: model.id }, data: { digest: 'sha256:another' } });
    expect(await codeOf(await reproduce(result.resultId))).toEqual([409, 'model-gone']);
    await owner.model.update({ where: { id: model.id }, data: { digest: model.digest } });
    const [series] = await owner.series.findMany();
    if (!series) throw new Error('the series is not there');
    await owner.series.update({ where: { id: series.id }, data: { seriesInstanceUid: '1.2.3.4' } });
    expect(await codeOf(await reproduce(result.resultId))).toEqual([409, 'input-gone']);
    await owner.series.update({ where: { id: series.id }, data: { seriesInstanceUid: series.seriesInstanceUid } });
  });

  it('leaves nothing when the study is deleted', async () => {
    expect(await owner.reproduction.count()).toBeGreaterThan(0);
    expect((await product.fetch(`/api/v1/studies/${result.studyInstanceUid}`, { method: 'DELETE' })).status).toBe(204);
    await eventually('the purge', async () => (await owner.result.count()) === 0);
    expect(await owner.reproduction.count()).toBe(0);
    expect((await reproduce(result.resultId)).status).toBe(404);
  });
});
