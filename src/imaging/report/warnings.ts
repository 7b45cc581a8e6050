import { z } from 'zod';
import type { Language } from '../../kernel/errors.js';
import type { Provenance } from './finding.js';

/** What a reader must know of a result before trusting it. */
export const warningSchema = z
  .object({ code: z.enum(['strange-input']).meta({ description: 'Stable' }), text: z.string().meta({ description: 'In the caller’s language' }) })
  .meta({ id: 'ResultWarning', description: '`strange-input`: the images look unlike those that the model was made with' });
export type ResultWarning = z.infer<typeof warningSchema>;

const STRANGE: Readonly<Record<Language, string>> = {
  en: 'The images look unlike those that the model was made with: judge its findings with care.',
  'zh-CN': '图像与模型所依据的图像不相似，请谨慎判断其所见。',
};

/** For a line beside a picture. */
export const STRANGE_IN_SHORT: Readonly<Record<Language, string>> = { en: 'Unlike the model’s images', 'zh-CN': '与模型的图像不相似' };

export function warningsOf({ outOfDistribution }: Pick<Provenance, 'outOfDistribution'>, language: Language): ResultWarning[] {
  return outOfDistribution?.strange === true ? [{ code: 'strange-input', text: STRANGE[language] }] : [];
}
