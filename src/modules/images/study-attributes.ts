import { Inject, Injectable } from '@nestjs/common';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { AppError } from '../../kernel/errors.js';
import { KeyVault, type DataKey } from '../../platform/crypto/key-vault.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { openJson, sealContext } from './sealed-json.js';

/** A row of `studies` as far as its attributes go. */
export interface SealedStudy {
  id: string;
  keyId: string;
  sealed: Uint8Array;
}

/** Attributes of a study and of its series, by the row's id. They hold PHI. */
export interface OpenedStudy {
  study: DicomJson;
  series: ReadonlyMap<string, DicomJson>;
}

/** Opens what the rows of studies keep encrypted. A study whose key was destroyed is still a study, but nobody's. */
@Injectable()
export class StudyAttributes {
  constructor(
    private readonly vault: KeyVault,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @returns null when the study's key was destroyed @throws AppError `blob-corrupt` */
  async open(study: SealedStudy, series: readonly { id: string; sealed: Uint8Array }[]): Promise<OpenedStudy | null> {
    const key = (await this.vault.keysById([study.keyId])).get(study.keyId);
    if (!key) return null;
    return { study: openStudy(study, key), series: new Map(series.map(({ id, sealed }) => [id, openAttributes(key, sealed, sealContext.series(id))])) };
  }

  /**
   * Those of a list, with one look-up of keys. A study that cannot be opened is missing: its key was destroyed, or the row is
   * damaged, which is logged and must not hide the others.
   */
  async openAll(studies: readonly SealedStudy[]): Promise<ReadonlyMap<string, DicomJson>> {
    const keys = await this.vault.keysById(studies.map(({ keyId }) => keyId));
    const opened = new Map<string, DicomJson>();
    for (const study of studies) {
      const key = keys.get(study.keyId);
      if (!key) continue;
      try {
        opened.set(study.id, openStudy(study, key));
      } catch (err) {
        if (!(err instanceof AppError)) throw err;
        this.logger.error({ err, studyId: study.id }, 'the attributes of a study are damaged');
      }
    }
    return opened;
  }
}

function openStudy({ id, sealed }: SealedStudy, key: DataKey): DicomJson {
  return openAttributes(key, sealed, sealContext.study(id));
}

/** @throws AppError `blob-corrupt` */
export function openAttributes(key: DataKey, sealed: Uint8Array, context: string): DicomJson {
  // Sealed by the ingest out of a DicomJson.
  return JSON.parse(openJson(key, sealed, context)) as DicomJson;
}
