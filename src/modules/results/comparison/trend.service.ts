import { Injectable } from '@nestjs/common';
import { displayNameOf } from '../../../imaging/report/terms.js';
import { AppError, type Language } from '../../../kernel/errors.js';
import { ImagingThreads, type TrendChart } from '../../../platform/threads/imaging-threads.service.js';
import type { ResultRecord } from '../results.store.js';
import { ComparisonService, type ComparedResults, type DatedResult } from './comparison.service.js';

/** Earlier studies whose images are aligned for the picture. */
const ALIGNED = 4;
/** Lines that a small picture has room for. */
const MOST_LINES = 6;

type Line = TrendChart['lines'][number];
/** How two results are set against each other; null when they cannot be now. */
type Compare = (current: DatedResult, prior: DatedResult) => Promise<ComparedResults | null>;

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
    const compare: Compare = (current, prior) => this.comparisons.between(current, prior);
    return { studies, draw: async () => this.threads.trend(await this.chart(studies, language, compare)) };
  }

  /** The same as far as it needs no images: a study that was not aligned before has no point for a nodule. undefined when there is nothing to draw. */
  async known(studies: readonly DatedResult[], language: Language): Promise<{ chart: TrendChart; draw: () => Promise<Uint8Array> } | undefined> {
    const chart = await this.chart(studies, language, (current, prior) => this.comparisons.known(current, prior));
    const isTelling = chart.lines.some(({ values }) => values.filter((value) => value !== null).length > 1);
    return isTelling ? { chart, draw: () => this.threads.trend(chart) } : undefined;
  }

  private async chart(studies: readonly DatedResult[], language: Language, compare: Compare): Promise<TrendChart> {
    const current = studies.at(-1);
    if (!current) throw new AppError('no-prior-result');
    return { ...(await this.linesOf(current, studies, language, compare)), dates: studies.map(({ at }) => at.getTime()) };
  }

  private async linesOf(current: DatedResult, studies: readonly DatedResult[], language: Language, compare: Compare): Promise<Pick<TrendChart, 'title' | 'unit' | 'lines'>> {
    const { record } = current;
    if (record.analysis === 'chest-xray-classification') {
      const names = record.labels.filter(({ positive }) => positive).map(({ name }) => name);
      return { title: TITLES[language].probability, unit: '%', lines: named(names, studies, language, (one, name) => percentOf(one.labels.find((label) => label.name === name)?.probability)) };
    }
    if (record.analysis === 'brain-tumour-segmentation') {
      const names = [...new Set(studies.flatMap(({ record: { segments } }) => segments.map(({ name }) => name)))];
      return { title: TITLES[language].volume, unit: 'ml', lines: named(names, studies, language, (one, name) => one.segments.find((segment) => segment.name === name)?.volumeMl ?? 0) };
    }
    return { title: TITLES[language].diameter, unit: 'mm', lines: await nodules(current, studies, compare) };
  }

}

/** Each finding of the result, followed back. */
async function nodules(current: DatedResult, studies: readonly DatedResult[], compare: Compare): Promise<Line[]> {
  const { record } = current;
  const matched = new Map<string, Map<string, number>>();
  for (const prior of studies.slice(0, -1).slice(-ALIGNED)) {
    const found = (await compare(current, prior))?.comparison.findings ?? [];
    matched.set(prior.record.id, new Map(found.flatMap(({ current: id, measurements }) => { const diameter = measurements.find(({ name }) => name === 'diameter'); return id !== null && diameter ? [[id, diameter.prior]] : []; })));
  }
  const largest = record.findings.map((finding, index) => ({ id: finding.id, number: index + 1, diameter: diameterOf(finding) })).sort((a, b) => b.diameter - a.diameter).slice(0, MOST_LINES);
  return largest.map(({ id, number, diameter }) => ({ name: String(number), values: studies.map(({ record: one }) => (one.id === record.id ? diameter : (matched.get(one.id)?.get(id) ?? null))) }));
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
