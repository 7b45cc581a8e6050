import type { Language } from '../../kernel/errors.js';

/** What stands in the comparison of a report beside what is compared. */
export interface ComparisonTexts {
  title: (date: string, days: number) => string;
  then: string;
  columns: readonly [number: string, what: string, change: string, values: string];
  pending: string;
  notAligned: string;
  otherModel: string;
  nothing: string;
  present: string;
  absent: string;
  doubling: (days: number) => string;
  trend: string;
}

export const COMPARISON_TEXTS: Readonly<Record<Language, ComparisonTexts>> = {
  en: {
    title: (date, days) => `Comparison with the study of ${date}, ${days === 1 ? '1 day' : `${String(days)} days`} before`,
    then: 'Then and now', columns: ['No.', 'Finding', 'Change', 'Then → now'],
    pending: 'Not ready yet: the images of the two studies have to be aligned first. The report has it once that is done.',
    notAligned: 'The images of the two studies could not be aligned, so places of findings are not compared.',
    otherModel: 'The two studies were read by different models or versions, which may measure otherwise.',
    nothing: 'Nothing was found in either study.',
    present: 'present', absent: 'absent', doubling: (days) => `doubles in ${String(days)} days`, trend: 'Over the studies of the patient',
  },
  'zh-CN': {
    title: (date, days) => `与 ${date} 检查（${String(days)} 天前）的比较`,
    then: '前后对照', columns: ['序号', '所见', '变化', '前次 → 本次'],
    pending: '尚未就绪：须先配准两次检查的图像，完成后本报告将包含比较结果。',
    notAligned: '两次检查的图像无法配准，未比较所见的位置。',
    otherModel: '两次检查由不同的模型或版本判读，测量值可能有差异。',
    nothing: '两次检查均无所见。',
    present: '有', absent: '无', doubling: (days) => `倍增时间 ${String(days)} 天`, trend: '历次检查的变化',
  },
};
