import type { ModuleMetadata } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { rmSync } from 'node:fs';
import { inputDigestOf } from '../../../src/imaging/report/input-digest.js';
import type { PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { RESULT_READY, type ResultReady } from '../../../src/modules/analysis/analysis.contract.js';
import { StudyReader, type StoredInstance, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import { ImagesModule } from '../../../src/modules/images/images.module.js';
import { NotificationsModule } from '../../../src/modules/notifications/notifications.module.js';
import { notificationsJobs, NotificationsWorkerModule } from '../../../src/modules/notifications/notifications.worker.js';
import { ResultWriter, type NewResult } from '../../../src/modules/results/results.contract.js';
import { ResultsModule } from '../../../src/modules/results/results.module.js';
import { resultsJobs, ResultsWorkerModule } from '../../../src/modules/results/results.worker.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { UsersModule } from '../../../src/modules/users/users.module.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase } from '../../../src/platform/database/open-database.js';
import { createHttpApp } from '../../../src/platform/http/http-app.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { ownerOf } from '../../support/owner.js';
import { ADMIN } from '../../support/product.js';
import { grayPng, uploadForm } from '../../support/xray.js';
import { signIn } from '../users/house.js';

/** Everything but the analysis: users, images, results and notifications behind HTTP, with their workers. */
export interface House {
  url: string;
  config: Config;
  app: NestFastifyApplication;
  /** Whom no wall stops. */
  owner: PrismaClient;
  token: string;
  institutionId: string;
  /** `fetch` with the administrator's token. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

/** @param imports  modules beside those @param variables  of the environment */
export async function openHouse({ imports = [], variables = {} }: { imports?: NonNullable<ModuleMetadata['imports']>; variables?: Record<string, string> } = {}): Promise<House> {
  const directory = await preparedDirectory();
  const config = parseConfig({ DATA_DIR: directory, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent', ...variables });
  const logger = createLogger('silent');
  const database = await openDatabase(config, logger);
  class Product {}
  const app = await createHttpApp({
    module: Product,
    imports: [
      OpsModule.forRoot(config, logger), DatabaseModule.forUrls(database), StorageModule, QueueModule.forWorkers(config, [...resultsJobs, ...notificationsJobs]),
      UsersModule, ImagesModule, ResultsModule, NotificationsModule, ResultsWorkerModule, NotificationsWorkerModule, ...imports,
    ],
  }, config, logger);
  await app.get(BootstrapService).ensureFirstAdministrator();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const { access_token: token } = await signIn(url);
  const owner = ownerOf(database);
  const institution = await owner.institution.findFirstOrThrow();
  return {
    url, config, app, owner, token, institutionId: institution.id,
    fetch: (path, init = {}) => fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string> | undefined) } }),
    close: async () => {
      await app.close();
      await owner.$disconnect();
      await database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Uploads one picture and gives the study that it became. */
export async function uploadStudy(house: House, seed: number): Promise<{ study: StoredStudy; instance: StoredInstance }> {
  const form = uploadForm([{ name: 'x-ray.png', bytes: await grayPng(seed) }], { patientId: `P${String(seed)}`, patientAge: '4', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' });
  const response = await house.fetch('/api/v1/images', { method: 'POST', body: form });
  if (response.status !== 201) throw new Error(`not stored: ${await response.text()}`);
  // API.md, "images".
  const { items } = (await response.json()) as { items: { studyInstanceUid: string }[] };
  const study = await house.app.get(StudyReader).find(house.institutionId, items[0]?.studyInstanceUid ?? '');
  const instance = study?.series[0]?.instances[0];
  if (!study || !instance) throw new Error('the study is not there');
  return { study, instance };
}

/** What an analysis might conclude of a study. */
export function conclusion(house: House, { study, instance }: { study: StoredStudy; instance: StoredInstance }, changes: Partial<NewResult> = {}): NewResult {
  return {
    institutionId: house.institutionId, analysisId: uuidv7(), studyId: study.id, studyInstanceUid: study.studyInstanceUid, analysis: 'chest-xray-classification',
    summary: { text: 'Pneumonia 93 %', critical: false },
    findings: [],
    segmentation: null,
    labels: [
      { name: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: true, code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' } },
      { name: 'Effusion', probability: 0.12, threshold: 0.5, positive: false },
    ],
    segments: [],
    provenance: {
      model: { name: 'chest-xray-pneumonia', version: '1.0.0', digest: `sha256:${'0'.repeat(64)}` }, software: '0.1.0', inputDigest: inputDigestOf([instance]),
      executionProvider: 'cpu', startedAt: '2026-11-21T09:59:58.000Z', finishedAt: '2026-11-21T10:00:00.000Z',
    },
    keyImage: { sopInstanceUid: instance.sopInstanceUid, blobKey: instance.blobKey, frame: 1 },
    instances: [{ id: instance.id, sopInstanceUid: instance.sopInstanceUid, sopClassUid: instance.sopClassUid, seriesInstanceUid: study.series[0]?.seriesInstanceUid ?? '', attributes: instance.attributes }],
    heatMaps: [{ label: 'Pneumonia', width: 3, height: 2, data: Float32Array.from([0, -1, 0.25, 0.5, 2, 0]) }],
    ...changes,
  };
}

/** Does what the analysis does at the end of a run: result and event in one transaction. */
export async function commitResult(house: House, result: NewResult, topics: readonly string[] = [RESULT_READY]): Promise<string> {
  const { institutionId, analysisId, studyInstanceUid, analysis } = result;
  const prepared = await house.app.get(ResultWriter).prepare(result);
  await house.app.get(Database).transaction({ institutionId }, async (tx) => {
    await house.app.get(StudyReader).lock(tx, institutionId, result.studyId);
    await house.app.get(ResultWriter).commit(tx, prepared);
    const payload = { institutionId, resultId: prepared.id, analysisId, studyInstanceUid, analysis } satisfies ResultReady;
    await house.app.get(Outbox).append(tx, ...topics.map((topic) => ({ institutionId, topic, payload })));
  });
  return prepared.id;
}
