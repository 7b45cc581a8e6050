import type { INestApplicationContext } from '@nestjs/common';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { newDicomUid, uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader, type StoredInstance, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import { hashPassword } from '../../../src/modules/users/password.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database, prismaOf, type PrismaTransaction } from '../../../src/platform/database/database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { runRole } from '../../../src/roles/run.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { dicomFile, type Element } from '../../support/dicom-builder.js';
import { ADMIN } from '../../support/product.js';
import { signIn } from '../users/house.js';

/** The whole product in this process, with what can only be seen or done from inside at hand. */
export interface PatientHouse {
  url: string;
  config: Config;
  dataDir: string;
  app: INestApplicationContext;
  institutionId: string;
  /** With the administrator's token, unless `init` has another. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  json<T>(path: string, init?: RequestInit): Promise<T>;
  system<T>(work: (client: PrismaTransaction) => Promise<T>): Promise<T>;
  /** A person of a role, in the same institution or in one of their own. */
  person(role: string, where: 'here' | 'elsewhere'): Promise<{ id: string; email: string; authorization: string; institutionId: string }>;
  /** Stores one instance. */
  send(instance: SentInstance, authorization?: string): Promise<StoredTest>;
  /** A stored study as an analysis sees it. */
  study(studyInstanceUid: string): Promise<{ study: StoredStudy; instance: StoredInstance }>;
  patientOf(patientId: string): Promise<string>;
  close(): Promise<void>;
}

export interface SentInstance {
  patientId?: string;
  name?: string;
  study?: string;
  date?: string;
  modality?: string;
  /** Side of the image in pixels. */
  side?: number;
}

export interface StoredTest {
  status: number;
  bytes: Uint8Array;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
}

export async function openPatientHouse(variables: Record<string, string> = {}): Promise<PatientHouse> {
  const dataDir = await preparedDirectory();
  const models = join(dataDir, 'models');
  mkdirSync(models, { recursive: true });
  const config = parseConfig({
    DATA_DIR: dataDir, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent', SETTLE_SECONDS: '600', MODELS_DIR: models, PORT: '0', HOST: '127.0.0.1', ...variables,
  });
  const running = await runRole(config, { logger: createLogger('silent') });
  const { url, app } = running;
  const authorization = `Bearer ${(await signIn(url)).access_token}`;
  const institutionId = running.firstAdministrator?.institutionId ?? '';
  const system = <T>(work: (client: PrismaTransaction) => Promise<T>): Promise<T> => app.get(Database).transaction('system', (tx) => work(prismaOf(tx)));
  const call = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${url}${path}`, { ...init, headers: { authorization, ...(init.headers as Record<string, string> | undefined) } });
  const json = async <T>(path: string, init?: RequestInit): Promise<T> => {
    const response = await call(path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${path}: ${String(response.status)} ${text}`);
    // The caller names the shape that the contract promises.
    return JSON.parse(text) as T;
  };
  return {
    url, config, dataDir, app, institutionId, system, json, fetch: call,
    person: async (role, where) => {
      const home = where === 'here' ? institutionId : uuidv7();
      const [id, email, passwordHash] = [uuidv7(), `${uuidv7()}@hospital.test`, await hashPassword(ADMIN.password)];
      await system(async (client) => {
        if (where === 'elsewhere') await client.institution.create({ data: { id: home, name: 'Elsewhere' } });
        await client.user.create({ data: { id, institutionId: home, email, displayName: role, role, passwordHash } });
      });
      return { id, email, institutionId: home, authorization: `Bearer ${(await signIn(url, email)).access_token}` };
    },
    send: async ({ patientId, name, study = newDicomUid(), date = '20260102', modality = 'CT', side = 0 }, as) => {
      const [seriesInstanceUid, sopInstanceUid] = [newDicomUid(), newDicomUid()];
      const elements: Element[] = [
        [0x00080018, 'UI', sopInstanceUid], [0x00080020, 'DA', date], [0x00080060, 'CS', modality],
        ...(name === undefined ? [] : [[0x00100010, 'PN', name] as const]),
        ...(patientId === undefined ? [] : [[0x00100020, 'LO', patientId] as const]),
        [0x0020000d, 'UI', study], [0x0020000e, 'UI', seriesInstanceUid],
        ...(side === 0 ? [] : pixels(side)),
      ];
      const bytes = dicomFile(elements);
      const form = new FormData();
      form.append('files', new Blob([new Uint8Array(bytes)]), 'a.dcm');
      const { status } = await call('/api/v1/images', { method: 'POST', body: form, ...(as !== undefined && { headers: { authorization: as } }) });
      return { status, bytes, studyInstanceUid: study, seriesInstanceUid, sopInstanceUid };
    },
    study: async (studyInstanceUid) => {
      const study = await app.get(StudyReader).find(institutionId, studyInstanceUid);
      const instance = study?.series[0]?.instances[0];
      if (!study || !instance) throw new Error('the study is not there');
      return { study, instance };
    },
    patientOf: async (patientId) => {
      const { items } = await json<{ items: { id: string }[] }>(`/api/v1/patients?patientId=${encodeURIComponent(patientId)}`);
      const [one] = items;
      if (!one) throw new Error('the patient is not there');
      return one.id;
    },
    close: async () => {
      await running.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Grey that no compression makes small. */
function pixels(side: number): Element[] {
  const bytes = new Uint8Array(side * side);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 2_654_435_761) >>> 24;
  return [
    [0x00280002, 'US', [1]], [0x00280004, 'CS', 'MONOCHROME2'], [0x00280010, 'US', [side]], [0x00280011, 'US', [side]], [0x00280100, 'US', [8]], [0x00280101, 'US', [8]], [0x00280102, 'US', [7]], [0x00280103, 'US', [0]],
    [0x7fe00010, 'OB', bytes],
  ];
}
