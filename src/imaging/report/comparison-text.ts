import type { Language } from '../../kernel/errors.js';
import type { ComparedFinding, Comparison, Trend } from './comparison.js';

export const TRENDS = ['new', 'grown', 'stable', 'shrunk', 'gone'] as const satisfies readonly Trend[];

export const TREND_WORDS: Readonly<Record<Language, Readonly<Record<Trend, string>>>> = {
  en: { new: 'new', grown: 'grown', stable: 'stable', shrunk: 'smaller', gone: 'gone' },
  'zh-CN': { new: '新发', grown: '增大', stable: '稳定', shrunk: '缩小', gone: '消失' },
};
const NONE: Readonly<Record<Language, string>> = { en: 'No findings in either study', 'zh-CN': '两次检查均无所见' };
const URGENCY: readonly Trend[] = ['new', 'grown', 'gone', 'shrunk', 'stable'];

/** "1 grown, 2 stable, 1 gone". */
export function comparisonText({ findings }: Pick<Comparison, 'findings'>, language: Language): string {
  const words = TREND_WORDS[language];
  const parts = TRENDS.flatMap((trend) => { const count = findings.filter((finding) => finding.trend === trend).length; return count === 0 ? [] : [`${String(count)} ${words[trend]}`]; });
  return parts.length === 0 ? NONE[language] : parts.join(language === 'zh-CN' ? '，' : ', ');
}

/** New and grown ones before those that stayed as they were. */
export function changedFirst(findings: readonly ComparedFinding[]): ComparedFinding[] {
  return [...findings].sort((a, b) => URGENCY.indexOf(a.trend) - URGENCY.indexOf(b.trend));
}
