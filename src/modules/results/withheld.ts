import { z } from 'zod';
import type { DerivedFault } from '../../imaging/report/derived.js';
import { AppError, type Language } from '../../kernel/errors.js';
import type { ResultRecord } from './results.store.js';

export const faultSchema = z
  .object({
    check: z.enum(['iod', 'template', 'geometry', 'reference', 'measurement', 'code']),
    title: z.string().meta({ description: 'What the check looks at, in the language of the answer' }),
    detail: z.string().meta({ description: 'For those who run the installation; English' }),
  })
  .meta({ id: 'ResultFault', description: 'What the gate found wrong with the SEG or SR of a result' });

export type FaultJson = z.infer<typeof faultSchema>;

const TITLES: Readonly<Record<DerivedFault['check'], Readonly<Record<Language, string>>>> = {
  iod: { en: 'The object is not built as DICOM wants it', 'zh-CN': '对象不符合 DICOM 结构要求' },
  template: { en: 'The report does not follow its template', 'zh-CN': '报告不符合模板要求' },
  geometry: { en: 'What was segmented lies elsewhere in the object than in the images', 'zh-CN': '分割区域的位置与图像不一致' },
  reference: { en: 'The object refers to images that are not there as they were read', 'zh-CN': '对象引用的图像已不存在或已更改' },
  measurement: { en: 'A measurement does not agree with what was segmented', 'zh-CN': '测量值与分割结果不一致' },
  code: { en: 'A code is missing or incomplete', 'zh-CN': '编码缺失或不完整' },
};

export function faultsJson(faults: readonly DerivedFault[], language: Language): FaultJson[] {
  return faults.map(({ check, detail }) => ({ check, title: TITLES[check][language], detail }));
}

export const WITHHELD_TEXT: Readonly<Record<Language, string>> = { en: 'Withheld: the result did not pass its checks', 'zh-CN': '暂不发布：结果未通过检查' };

/** Nothing that a withheld result says may be shown. @throws AppError `result-withheld` */
export function assertReleased({ status }: Pick<ResultRecord, 'status'>): void {
  if (status === 'withheld') throw new AppError('result-withheld');
}
