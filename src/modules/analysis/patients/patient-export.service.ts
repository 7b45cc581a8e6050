import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { AppError, errorTitle, type Language } from '../../../kernel/errors.js';
import { StreamedZip } from '../../../platform/http/streamed-zip.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { BlobStore, type BlobReader } from '../../../platform/storage/blob-store.js';
import { PatientRecords, type InstanceObject, type PatientRecord } from '../../images/images.contract.js';
import { StudyResults } from '../../results/results.contract.js';
import { analysisJson } from '../runs-json.js';
import { RunsStore } from '../runs.store.js';
import { patientExportReadme } from './patient-export-readme.js';

/** What is up to this size is read before its entry begins, so that damage in it costs nothing but the one object. */
const READ_WHOLE_BYTES = 16 * 2 ** 20;
const STRETCH_BYTES = 2 ** 20;
const RUNS_PAGE = 100;

/** What of an archive is this file. */
interface ListedFile {
  path: string;
  sizeBytes: number;
  sha256: string;
}

interface MissingObject {
  seriesInstanceUid: string;
  sopInstanceUid: string;
  code: string;
  detail: string;
}

/** Faults of one object; whatever else goes wrong ends the archive. */
const OF_ONE_OBJECT: ReadonlySet<string> = new Set(['blob-missing', 'blob-corrupt', 'key-destroyed']);

/** All that is kept of a patient, as a ZIP that is made while it is sent: one instance at a time, and of that a stretch. */
@Injectable()
export class PatientExportService {
  constructor(
    private readonly patients: PatientRecords,
    private readonly runs: RunsStore,
    private readonly results: StudyResults,
    private readonly blobs: BlobStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Starts an export.
   *
   * @returns the patient, and the ZIP; it breaks off when a large object turns out damaged while it is sent, or the installation fails
   * @throws AppError `patient-not-found`
   */
  async open(institutionId: string, patientId: string, language: Language): Promise<{ patient: PatientRecord; archive: Readable }> {
    const patient = await this.patients.find(institutionId, patientId);
    if (!patient) throw new AppError('patient-not-found');
    const zip = new StreamedZip();
    this.fill(zip, institutionId, patient, language).catch((err: unknown) => {
      if (!zip.isAbandoned) this.logger.error({ err, patient: patientId }, 'the export of a patient broke off');
      zip.destroy(err);
    });
    return { patient, archive: zip.output };
  }

  private async fill(zip: StreamedZip, institutionId: string, patient: PatientRecord, language: Language): Promise<void> {
    const at = new Date();
    const files: ListedFile[] = [];
    const add = async (path: string, content: AsyncGenerator<Uint8Array>, sizeBytes?: number): Promise<void> => { files.push(await added(zip, path, content, sizeBytes)); };
    await add('README.txt', textOf(patientExportReadme(at)));
    await add('patient.json', textOf(jsonText(patient.description)));
    await add('studies.json', arrayOf(descriptionsOf(this.patients.studiesOf(institutionId, patient.id))));
    await add('analyses.json', arrayOf(this.analysesOf(institutionId, patient)));
    await add('results.json', arrayOf(this.resultsOf(institutionId, patient, language)));
    const instances = { exported: 0, missing: 0 };
    for await (const study of this.patients.studiesOf(institutionId, patient.id)) {
      const own = { exported: [] as ListedFile[], missing: [] as MissingObject[] };
      const folder = `dicom/${study.studyInstanceUid}`;
      for await (const instance of this.patients.instancesOf(institutionId, study.id)) {
        if (zip.isAbandoned) return;
        const outcome = await this.addInstance(zip, `${folder}/${instance.seriesInstanceUid}/${instance.sopInstanceUid}.dcm`, instance);
        if ('path' in outcome) own.exported.push(outcome);
        else own.missing.push(outcome);
      }
      instances.exported += own.exported.length;
      instances.missing += own.missing.length;
      // One list per study, so that however many there are, no more than one has to be remembered.
      await add(`${folder}/manifest.json`, textOf(jsonText({ studyInstanceUid: study.studyInstanceUid, files: own.exported, missing: own.missing })));
    }
    zip.end('manifest.json', Buffer.from(jsonText({ patient: patient.id, institution: institutionId, exportedAt: at.toISOString(), instances, files })));
  }

  private async addInstance(zip: StreamedZip, path: string, { seriesInstanceUid, sopInstanceUid, blobKey, sha256 }: InstanceObject): Promise<ListedFile | MissingObject> {
    let reader: BlobReader | undefined;
    try {
      reader = await this.blobs.open(blobKey);
      const { sizeBytes } = reader;
      const content = sizeBytes <= READ_WHOLE_BYTES ? textOf(await reader.read({ offset: 0, length: sizeBytes })) : stretchesOf(reader);
      const file = await added(zip, path, content, sizeBytes);
      if (file.sha256 !== sha256) this.logger.error({ sopInstanceUid }, 'an exported object is not what was stored');
      return file;
    } catch (error) {
      // What has begun to be sent cannot be taken back: only a ZIP that breaks off tells that it is not whole.
      if (zip.isBroken || !(error instanceof AppError) || !OF_ONE_OBJECT.has(error.code)) throw error;
      return { seriesInstanceUid, sopInstanceUid, code: error.code, detail: errorTitle(error.code) };
    } finally {
      await reader?.close();
    }
  }

  private async *analysesOf(institutionId: string, { studyInstanceUids }: PatientRecord): AsyncGenerator<object> {
    for (const studyInstanceUid of studyInstanceUids) {
      for (let cursor: string | undefined; ;) {
        const page = (await this.runs.list(institutionId, { studyInstanceUid }, { limit: RUNS_PAGE, cursor })).slice(0, RUNS_PAGE);
        for (const run of page) yield analysisJson(run);
        cursor = page.at(-1)?.id;
        if (cursor === undefined || page.length < RUNS_PAGE) break;
      }
    }
  }

  private async *resultsOf(institutionId: string, { studyInstanceUids }: PatientRecord, language: Language): AsyncGenerator<object> {
    for (const studyInstanceUid of studyInstanceUids) yield* this.results.ofStudy(institutionId, studyInstanceUid, language);
  }
}

/** Adds an entry and says what it was. */
async function added(zip: StreamedZip, path: string, content: AsyncGenerator<Uint8Array>, sizeBytes: number | undefined): Promise<ListedFile> {
  const hash = createHash('sha256');
  let count = 0;
  const observed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of content) {
      hash.update(piece);
      count += piece.length;
      yield piece;
    }
  };
  await zip.add(path, sizeBytes, observed());
  return { path, sizeBytes: count, sha256: hash.digest('hex') };
}

// eslint-disable-next-line @typescript-eslint/require-await -- the entries of an archive are streams
async function* textOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield typeof content === 'string' ? Buffer.from(content) : content;
}

async function* stretchesOf(reader: BlobReader): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < reader.sizeBytes; offset += STRETCH_BYTES) yield await reader.read({ offset, length: Math.min(STRETCH_BYTES, reader.sizeBytes - offset) });
}

async function* descriptionsOf(studies: AsyncGenerator<{ description: object }>): AsyncGenerator<object> {
  for await (const { description } of studies) yield description;
}

/** A JSON array, one item after the other. */
async function* arrayOf(items: AsyncGenerator<object>): AsyncGenerator<Uint8Array> {
  let before = '[\n';
  for await (const item of items) {
    yield Buffer.from(`${before}${JSON.stringify(item)}`);
    before = ',\n';
  }
  yield Buffer.from(before === '[\n' ? '[]\n' : '\n]\n');
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
