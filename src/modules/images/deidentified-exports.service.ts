import { createHmac } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { methodCodes } from '../../imaging/dicom/deidentify/deidentification-marks.js';
import { deidentify, emptyTally, type Tally } from '../../imaging/dicom/deidentify/deidentify.js';
import { filePlanOf } from '../../imaging/dicom/deidentify/file-plan.js';
import { pseudonymsOf, type Pseudonyms } from '../../imaging/dicom/deidentify/pseudonyms.js';
import { Refusal } from '../../imaging/dicom/deidentify/refusal.js';
import type { DeidentificationOptions } from '../../imaging/dicom/deidentify/treatment.js';
import { AppError, errorTitle } from '../../kernel/errors.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { StreamedZip } from '../../platform/http/streamed-zip.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { BlobStore, type BlobReader } from '../../platform/storage/blob-store.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import { DeidentifiedExportsStore, type ExportableInstance } from './deidentified-exports.store.js';
import { decodedFrame, readHeader, writtenFile } from './deidentified-file.js';

export interface ExportRequest {
  /** Names the set of pseudonyms: the same project gives the same ones. */
  project: string;
  options: DeidentificationOptions;
}

/** `report.json`, the last entry of the ZIP. Nothing in it names the patient. */
export interface ExportReport {
  project: string;
  options: DeidentificationOptions;
  methods: { code: string; meaning: string }[];
  studyInstanceUid: string;
  instances: { exported: number; refused: number };
  pixelData: { copied: number; blackedOut: number };
  elements: Tally;
  refused: { seriesInstanceUid: string; sopInstanceUid: string; code: string; detail: string }[];
}

/** Errors of the server that belong to one object, not to the installation. */
const OF_ONE_OBJECT = new Set(['blob-missing', 'blob-corrupt']);

/** De-identified copies of studies, as a ZIP that is made while it is sent: one instance at a time, and of that a stretch. */
@Injectable()
export class DeidentifiedExportsService {
  constructor(
    private readonly store: DeidentifiedExportsStore,
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly threads: ImagingThreads,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Starts the export of a study.
   *
   * @returns the ZIP; it breaks off when an object turns out damaged while it is sent, or the installation fails
   * @throws AppError `study-not-found`
   */
  async open(institutionId: string, studyInstanceUid: string, { project, options }: ExportRequest): Promise<Readable> {
    const studyId = await this.store.findStudy(institutionId, studyInstanceUid);
    if (studyId === undefined) throw new AppError('study-not-found');
    const secret = await this.vault.derivedSecret(institutionId, `deidentification/${project}`);
    const pseudonyms = pseudonymsOf((text) => createHmac('sha256', secret).update(text).digest(), project);
    const report: ExportReport = {
      project, options, methods: methodCodes(options), studyInstanceUid: pseudonyms.uid(studyInstanceUid),
      instances: { exported: 0, refused: 0 }, pixelData: { copied: 0, blackedOut: 0 }, elements: emptyTally(), refused: [],
    };
    const archive = new StreamedZip();
    this.fill(archive, this.store.instancesOf(institutionId, studyId), pseudonyms, report).catch((error: unknown) => {
      if (!archive.isAbandoned) this.logger.error({ err: error }, 'a de-identified export broke off');
      archive.destroy(error);
    });
    return archive.output;
  }

  private async fill(archive: StreamedZip, instances: AsyncIterable<ExportableInstance>, pseudonyms: Pseudonyms, report: ExportReport): Promise<void> {
    for await (const instance of instances) {
      if (archive.isAbandoned) return;
      let reader: BlobReader | undefined;
      try {
        reader = await this.blobs.open(instance.blobKey);
        await this.add(archive, reader, pseudonyms, report);
      } catch (error) {
        const reason = reasonOf(error);
        // What has begun to be sent cannot be taken back: only a ZIP that breaks off tells that it is not whole.
        if (reason === undefined || archive.isBroken) throw error;
        report.instances.refused++;
        report.refused.push({ seriesInstanceUid: pseudonyms.uid(instance.seriesInstanceUid), sopInstanceUid: pseudonyms.uid(instance.sopInstanceUid), ...reason });
      } finally {
        await reader?.close();
      }
    }
    archive.end('report.json', Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`));
  }

  private async add(archive: StreamedZip, reader: BlobReader, pseudonyms: Pseudonyms, report: ExportReport): Promise<void> {
    const parsed = await readHeader(reader);
    const instance = deidentify(parsed, report.options, pseudonyms);
    const original = { reader, parsed };
    const firstFrame = instance.pixels.kind === 'decode' ? await decodedFrame(original, this.threads, 0) : undefined;
    const pieces = filePlanOf(parsed, instance, firstFrame);
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    const { patient, studyInstanceUid, seriesInstanceUid, sopInstanceUid, tally, pixels } = instance;
    await archive.add(`${patient.id}/${studyInstanceUid}/${seriesInstanceUid}/${sopInstanceUid}.dcm`, size, writtenFile(pieces, original, this.threads, firstFrame));
    report.instances.exported++;
    if (pixels.kind === 'copy') report.pixelData.copied++;
    else if (pixels.kind !== 'none') report.pixelData.blackedOut++;
    // The keys of a tally are those of every tally.
    for (const [name, count] of Object.entries(tally)) report.elements[name as keyof Tally] += count as number;
  }
}

/** Why one instance is left out; undefined for what is no fault of the instance. */
function reasonOf(error: unknown): { code: string; detail: string } | undefined {
  if (error instanceof Refusal) return { code: error.code, detail: error.message };
  if (!(error instanceof AppError) || (error.status >= 500 && !OF_ONE_OBJECT.has(error.code))) return undefined;
  return { code: error.code, detail: errorTitle(error.code) };
}
