import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { KeyVault, type DataKey } from '../../../platform/crypto/key-vault.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { sealContext } from '../sealed-json.js';
import { matchesTree } from './matching.js';
import type { SearchQuery } from './query.js';
import { selectionOf, type Opened } from './search-answer.js';
import { planSearch, type Level, type SearchPlan, type SearchTarget } from './search-plan.js';
import { SearchStore, type FoundRow } from './search.store.js';
import { SealedAttributesReader } from './stored-attributes.js';

export interface SearchAnswer {
  /** DICOM JSON: an array of results. */
  body: string;
  warnings: readonly string[];
  /** Whose data the body shows. */
  studyInstanceUids: string[];
}

/** Results of a search in the whole archive that does not say how many it wants. Below a study they all come. */
const USUAL_RESULTS = 100;
const MOST_RESULTS = 1_000;
const MOST_RESULTS_OF_STUDY = 10_000;
/** Rows are read and opened so many at a time: a list of ten thousand holds up nobody and takes little memory. */
const ROWS_AT_ONCE = 250;
const FIRST_COMPARED = 32;
/** Candidates that one search may open in order to compare them. */
const MOST_COMPARED = 5_000;

/** QIDO-RS. @see PS3.18 §10.6 */
@Injectable()
export class SearchService {
  constructor(
    private readonly store: SearchStore,
    private readonly vault: KeyVault,
    private readonly reader: SealedAttributesReader,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param studiesUrl  `https://host/dicom-web/studies`
   * @throws AppError `unsupported-matching` for what can be compared after decryption only and is too much to decrypt
   */
  async search(target: SearchTarget, query: SearchQuery, studiesUrl: string): Promise<SearchAnswer> {
    const plan = planSearch(target, query, await this.vault.blindIndex(target.institutionId));
    const selection = selectionOf(target, query, studiesUrl);
    const most = target.studyInstanceUid === undefined ? MOST_RESULTS : MOST_RESULTS_OF_STUDY;
    const limit = Math.min(query.limit ?? (target.studyInstanceUid === undefined ? USUAL_RESULTS : most), most);
    const texts: string[] = [];
    const shown = new Set<string>();
    let [hasMore, damaged] = [false, 0];
    for await (const { row, opened, isDamaged } of this.matches(target, plan, new Set([...selection.opens, ...plan.verify.keys()]), query.offset, limit + 1)) {
      if (texts.length === limit) {
        hasMore = true;
        break;
      }
      if (isDamaged) damaged++;
      texts.push(selection.text(row, opened));
      shown.add(row.studyInstanceUid);
    }
    const warnings = [...query.warnings, ...plan.warnings];
    if (hasMore) warnings.push(limit === most ? 'The number of results exceeded the maximum supported by the server. Additional results can be requested.' : 'There are additional results that can be requested.');
    if (damaged > 0) warnings.push('Stored attributes of some results are damaged and were left out.');
    return { body: `[${texts.join(',')}]`, warnings, studyInstanceUids: [...shown] };
  }

  /** What matches, from the `offset`th on, `wanted` at most. */
  private async* matches(target: SearchTarget, plan: SearchPlan, opens: ReadonlySet<Level>, offset: number, wanted: number): AsyncGenerator<OpenedRow> {
    const compares = plan.verify.size > 0;
    let [skip, left, compared] = [compares ? offset : 0, wanted, 0];
    let after: FoundRow | undefined;
    // The index seldom finds what does not match, so hardly more is read than wanted; twice as much each time after that.
    for (let batch = Math.max(FIRST_COMPARED, offset + wanted); left > 0; batch *= 2) {
      const limit = Math.min(compares ? batch : left, ROWS_AT_ONCE);
      const rows = await this.store.find(target, plan, opens, { limit, offset: compares || after ? 0 : offset, after });
      const keys = await this.vault.keysById(rows.map(({ keyId }) => keyId));
      for (const row of rows) {
        if (compares && ++compared > MOST_COMPARED) throw tooMany();
        const key = keys.get(row.keyId);
        // A study whose key is destroyed is gone, whatever remains of it.
        if (!key) continue;
        const opened = this.open(row, key);
        if (compares && ![...plan.verify].every(([level, tree]) => opened.opened[level] !== undefined && matchesTree(tree, opened.opened[level].json))) continue;
        if (skip > 0) {
          skip--;
          continue;
        }
        yield opened;
        if (--left === 0) return;
      }
      if (rows.length < limit) return;
      after = rows.at(-1);
    }
  }

  /** What was changed since it was written stays closed: one damaged row must not keep a department from its worklist. */
  private open(row: FoundRow, key: DataKey): OpenedRow {
    const opened: Opened = {};
    let isDamaged = false;
    for (const [level, id, sealed] of sealedOf(row)) {
      if (id === null || sealed === null) continue;
      const context = sealContext[level](id);
      try {
        // Instances are too many and too large to be remembered; they share their study and series.
        opened[level] = level === 'instance' ? this.reader.open(key, sealed, context) : this.reader.openOften(key, sealed, context);
      } catch (error) {
        isDamaged = true;
        this.logger.error({ err: error, row: context }, 'stored attributes cannot be opened');
      }
    }
    return { row, opened, isDamaged };
  }
}

interface OpenedRow {
  row: FoundRow;
  opened: Opened;
  isDamaged: boolean;
}

function sealedOf(row: FoundRow): (readonly [Level, string | null, Buffer | null])[] {
  return [['study', row.studyId, row.studySealed], ['series', row.seriesId, row.seriesSealed], ['instance', row.instanceId, row.instanceSealed]];
}

function tooMany(): AppError {
  return new AppError('unsupported-matching', { detail: `More than ${MOST_COMPARED} candidates would have to be decrypted to be compared: narrow the search, for example by a date, a Patient ID or a study.` });
}
