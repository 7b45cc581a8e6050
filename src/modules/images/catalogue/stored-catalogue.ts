import { Inject, Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { AppError } from '../../../kernel/errors.js';
import { groupBy } from '../../../kernel/group-by.js';
import { KeyVault, type DataKey } from '../../../platform/crypto/key-vault.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Catalogue, type Alternatives, type CatalogueFilter, type CataloguedPatient, type CataloguedSeries, type CataloguedStudy, type CataloguePage } from '../images.contract.js';
import { PatientsStore } from '../patients/patients.store.js';
import { accessionToken, patientIdToken } from '../qido/search-tokens.js';
import { sealContext } from '../sealed-json.js';
import { openAttributes, StudyAttributes } from '../study-attributes.js';
import { CatalogueStore } from './catalogue.store.js';

/** In between others get their turn. */
const OPENED_AT_ONCE = 64;

/** What the other modules tell others of. */
@Injectable()
export class StoredCatalogue extends Catalogue {
  constructor(
    private readonly store: CatalogueStore,
    private readonly patientRows: PatientsStore,
    private readonly attributes: StudyAttributes,
    private readonly vault: KeyVault,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async studies(institutionId: string, filter: CatalogueFilter, page: CataloguePage): Promise<CataloguedStudy[]> {
    const rows = await this.store.studies(institutionId, filter, page);
    const opened = await this.attributes.openAll(rows);
    return rows.map(({ keyId: _, sealed: __, ...row }) => ({ ...row, attributes: opened.get(row.id) ?? {} }));
  }

  async seriesOf(institutionId: string, studyIds: readonly string[], withInstances: boolean): Promise<ReadonlyMap<string, CataloguedSeries[]>> {
    if (studyIds.length === 0) return new Map();
    const rows = await this.store.seriesOf(institutionId, studyIds);
    const instances = groupBy(withInstances ? await this.store.instancesOf(institutionId, studyIds) : [], ({ seriesId }) => seriesId);
    const keys = await this.vault.keysById(rows.map(({ keyId }) => keyId));
    const series: (CataloguedSeries & { studyId: string })[] = [];
    for (const [index, { id, studyId, keyId, sealed, seriesInstanceUid, modality, seriesNumber, performedDate, performedTime, instanceCount }] of rows.entries()) {
      if (index % OPENED_AT_ONCE === OPENED_AT_ONCE - 1) await setImmediate();
      series.push({
        studyId, seriesInstanceUid, modality, seriesNumber, performedDate, performedTime, instanceCount,
        attributes: this.open(keys.get(keyId), sealed, id),
        instances: (instances.get(id) ?? []).map(({ sopInstanceUid, sopClassUid, instanceNumber }) => ({ sopInstanceUid, sopClassUid, instanceNumber })),
      });
    }
    return groupBy(series, ({ studyId }) => studyId);
  }

  async patients(institutionId: string, { ids }: { ids?: Alternatives<string> }, { limit, cursor }: CataloguePage): Promise<CataloguedPatient[]> {
    const rows = (await this.patientRows.list(institutionId, { ids }, { limit, cursor })).slice(0, limit);
    const opened = await this.attributes.openAll(rows.map(({ newest }) => newest));
    return rows.map(({ id, studyCount, updatedAt, newest }) => ({ id, studyCount, updatedAt, attributes: opened.get(newest.id) ?? {} }));
  }

  async studiesWithAccession(institutionId: string, accessionNumbers: readonly string[]): Promise<string[]> {
    const index = await this.vault.blindIndex(institutionId);
    return this.store.idsOf(institutionId, accessionNumbers.map((number) => accessionToken(index, number)));
  }

  async patientsWithIdentifier(institutionId: string, patientIds: readonly string[]): Promise<string[]> {
    const index = await this.vault.blindIndex(institutionId);
    return this.patientRows.idsOf(institutionId, patientIds.map((patientId) => patientIdToken(index, patientId)));
  }

  /** Nothing where the key was destroyed; a damaged row is logged and must not hide the others. */
  private open(key: DataKey | undefined, sealed: Uint8Array, seriesId: string): DicomJson {
    if (!key) return {};
    try {
      return openAttributes(key, sealed, sealContext.series(seriesId));
    } catch (err) {
      if (!(err instanceof AppError)) throw err;
      this.logger.error({ err, seriesId }, 'the attributes of a series are damaged');
      return {};
    }
  }
}
