import type { Language } from '../../../kernel/errors.js';
import { requireMatch } from '../../../platform/http/if-match.js';
import { etagOf } from '../../../platform/http/representation.js';
import { modelJson } from './models-json.js';
import type { ModelRow } from './models.store.js';

const LANGUAGES: readonly Language[] = ['en', 'zh-CN'];

export function modelTag(row: ModelRow, language: Language): string {
  return etagOf(JSON.stringify(modelJson(row, language)));
}

/** The tag of either language will do: who has seen the model in one has seen it. @throws AppError `precondition-failed` */
export function requireModelMatch(ifMatch: string | undefined, row: ModelRow): void {
  if (ifMatch === undefined) return;
  const given = ifMatch.split(',').map((tag) => tag.trim());
  requireMatch(ifMatch, LANGUAGES.map((language) => modelTag(row, language)).find((tag) => given.includes(tag)) ?? modelTag(row, 'en'));
}
