import { Injectable } from '@nestjs/common';
import { displayNameOf } from '../../../imaging/report/terms.js';
import { AppError, type Language } from '../../../kernel/errors.js';
import { ImagingThreads, type TrendChart } from '../../../platform/threads/imaging-threads.service.js';
import type { ResultRecord } from '../results.store.js';
import { ComparisonService, type DatedResult } from './comparison.service.js';

/** Earlier studies whose images are aligned for the picture. */
const ALIGNED = 4;
/** Lines that a small picture has room for. */
const MOST_LINES = 6;

type Line = TrendChart['lines'][number];

/** How findings developed over the studies of a patient, as a picture. */
@Injectable()
export class TrendService {
  constructor(
    private readonly comparisons: ComparisonService,
    private readonly threads: ImagingThreads,
  ) {}

  /** @throws AppError `no-prior-result` */
  async of(record: ResultRecord, language: Language): Promise<{ studies: DatedResult[]; draw: () => Promise<Uint8Array> }> {
    const studies = await this.comparisons.history(record);
    if (studies.length < 2) throw new AppError('no-prior-result');
    return { studies, draw: async () => this.threads.trend({ ...(await this.linesOf(record, studies, language)), dates: studies.map(({ at }) => at.getTime()) }) };
  }

  private async linesOf(record: ResultRecord, studies: readonly DatedResult[], language: Language): Promise<Pick<TrendChart, 'title' | 'unit' | 'lines'>> {
    if (record.analysis === 'chest-xray-classification') {
      const names = record.labels.filter(({ positive }) => positive).map(({ name }) => name);
      return { title: TITLES[language].probability, unit: '%', lines: named(names, studies, language, (one, name) => percentOf(one.labels.find((label) => label.name === name)?.probability)) };
    }
    if (record.analysis === 'brain-tumour-segmentation') {
      const names = [...new Set(studies.flatMap(({ record: { segments } }) => segments.map(({ name }) => name)))];
      return { title: TITLES[language].volume, unit: 'ml', lines: named(names, studies, language, (one, name) => one.segments.find((segment) => segment.name === name)?.volumeMl ?? 0) };
    }
    return { title: TITLES[language].diameter, unit: 'mm', lines: await this.nodules(record, studies) };
  }

  /** Each finding of the result, followed back. */
  private async nodules(record: ResultRecord, studies: readonly DatedResult[]): Promise<Line[]> {
    const priors = studies.slice(0, -1).slice(-ALIGNED);
    const matched = new Map<string, Map<string, number>>();
    for (const { record: prior } of priors) {
      const { comparison } = await this.comparisons.compare(record, prior.id);
      matched.set(prior.id, new Map(comparison.findings.flatMap(({ current, measurements }) => { const diameter = measurements.find(({ name }) => name === 'diameter'); return current !== null && diameter ? [[current, diameter.prior]] : []; })));
    }
    const largest = record.findings.map((finding, index) => ({ id: finding.id, number: index + 1, diameter: diameterOf(finding) })).sort((a, b) => b.diameter - a.diameter).slice(0, MOST_LINES);
    return largest.map(({ id, number, diameter }) => ({ name: String(number), values: studies.map(({ record: one }) => (one.id === record.id ? diameter : (matched.get(one.id)?.get(id) ?? null))) }));
  }
}

const TITLES: Readonly<Record<Language, Readonly<Record<'probability' | 'volume' | 'diameter', string>>>> = {
  en: { probability: 'Probability', volume: 'Volume', diameter: 'Diameter' },
  'zh-CN': { probability: '概率', volume: '体积', diameter: '直径' },
};

function named(names: readonly string[], studies: readonly DatedResult[], language: Language, valueOf: (record: ResultRecord, name: string) => number | null): Line[] {
  return names.slice(0, MOST_LINES).map((name) => ({ name: displayNameOf(name, language), values: studies.map(({ record }) => valueOf(record, name)) }));
}

function percentOf(probability: number | undefined): number | null {
  return probability === undefined ? null : Math.round(probability * 1000) / 10;
}

function diameterOf({ measurements }: ResultRecord['findings'][number]): number {
  return measurements.find(({ name, unit }) => name === 'diameter' && unit === 'mm')?.value ?? 0;
}
