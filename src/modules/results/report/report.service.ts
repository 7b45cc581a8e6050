import { Injectable } from '@nestjs/common';
import { PLANES, type PlaneName } from '../../../imaging/render/plane-view.js';
import { composeReport } from '../../../imaging/report/compose.js';
import type { ReportComparison, ReportDocument, ReportPicture } from '../../../imaging/report/document.js';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { REPORT_TEXTS } from '../../../imaging/report/report-texts.js';
import { percentText, positiveLabels, topLabel } from '../../../imaging/report/summary.js';
import { displayNameOf } from '../../../imaging/report/terms.js';
import { AppError, type Language } from '../../../kernel/errors.js';
import { etagOf } from '../../../platform/http/representation.js';
import { ImagingThreads } from '../../../platform/threads/imaging-threads.service.js';
import { VERSION } from '../../../platform/version.js';
import { StudyReader, type StoredStudy } from '../../images/images.contract.js';
import { resultSummary } from '../findings-json.js';
import { assertReleased } from '../withheld.js';
import { PreviewService, type PreviewLook } from '../preview.service.js';
import type { PreviewWish } from '../preview-subject.js';
import type { ResultRecord } from '../results.store.js';
import { volumeOf } from '../volume-sections.js';
import { reportHtml } from './report-html.js';
import { ReportComparisonService } from './report-comparison.service.js';
import { ReportStore } from './report.store.js';

const MOST_PICTURES = 3;

/** A report, not drawn yet. */
export interface Report {
  etag: string;
  /** Earlier studies that it tells of, too. */
  earlierStudyInstanceUids: readonly string[];
  /** @throws AppError those of rendering; pictures whose images are gone are left out, and the report says so */
  document(): Promise<ReportDocument>;
}

/** Reports of results: composed from what is stored, with pictures of the most telling findings. */
@Injectable()
export class ReportService {
  constructor(
    private readonly studies: StudyReader,
    private readonly previews: PreviewService,
    private readonly threads: ImagingThreads,
    private readonly store: ReportStore,
    private readonly comparisons: ReportComparisonService,
  ) {}

  /** @throws AppError `result-withheld`, `study-not-found` when the study was deleted a moment ago */
  async of(record: ResultRecord, language: Language): Promise<Report> {
    assertReleased(record);
    const [study, institution] = await Promise.all([this.studies.find(record.institutionId, record.studyInstanceUid), this.store.institutionName(record.institutionId)]);
    if (!study) throw new AppError('study-not-found');
    const attributes = attributesOf(record, study);
    const compared = await this.comparisons.of(record, language);
    const signOff = record.review?.signOff;
    const compose = (pictures: readonly ReportPicture[], comparison?: ReportComparison): ReportDocument => composeReport({
      ...record, resultId: record.id, summary: { text: resultSummary(record, language), critical: record.summary.critical }, attributes, institution, pictures, comparison,
      ...(signOff && { signature: { name: signOff.name, at: new Date(signOff.at) } }),
    }, language);
    // Patient and institution are shown as they are now, and so is what was before; the pictures follow from the result.
    const etag = etagOf(record.id, record.updatedAt.getTime(), language, VERSION, JSON.stringify(compose([]).band), institution, compared?.key ?? '');
    return {
      etag, earlierStudyInstanceUids: compared?.studyInstanceUids ?? [],
      document: async () => {
        const [pictures, trend] = await Promise.all([this.pictures(record, language), compared?.draw()]);
        return compose(pictures, compared?.compose(trend));
      },
    };
  }

  async pdf(record: ResultRecord, report: Report): Promise<Buffer> {
    return this.threads.reportPdf(await report.document(), record.updatedAt);
  }

  async html(report: Report): Promise<string> {
    return reportHtml(await report.document());
  }

  private pictures(record: ResultRecord, language: Language): Promise<ReportPicture[]> {
    return Promise.all(picked(record, language).map(async ({ wish, look, caption }) => ({ caption, bytes: await this.picture(record, wish, look, language) })));
  }

  private async picture(record: ResultRecord, wish: PreviewWish, look: PreviewLook, language: Language): Promise<Uint8Array | null> {
    try {
      return await this.previews.of(record, wish, language, { ...look, legend: false }).draw();
    } catch (error) {
      if (error instanceof AppError && (error.code === 'instance-not-found' || error.code === 'source-changed')) return null;
      throw error;
    }
  }
}

/** Of the image that the result was read from, or of any other one of the study. */
export function attributesOf({ rendering }: ResultRecord, { series }: StoredStudy): DicomJson {
  const instances = series.flatMap((one) => one.instances);
  const key = instances.find(({ sopInstanceUid }) => sopInstanceUid === rendering.keyImage?.sopInstanceUid) ?? instances[0];
  return key?.attributes ?? {};
}

interface Picked {
  wish: PreviewWish;
  look: PreviewLook;
  caption: string;
}

/** One finding from three sides; of several the first ones; of labels those that are positive, or the one that says most. */
function picked(record: ResultRecord, language: Language): Picked[] {
  const texts = REPORT_TEXTS[language];
  const inVolume = record.findings.flatMap((finding, index) => (volumeOf(record, finding) ? [{ finding, number: index + 1 }] : []));
  const [only] = inVolume;
  const caption = (number: number, kind: string, plane: PlaneName): string => `${String(number)} · ${displayNameOf(kind, language)}${texts.separator}${texts.planes[plane]}`;
  if (only && inVolume.length === 1) return PLANES.map((plane) => ({ wish: { finding: only.finding.id }, look: { plane }, caption: caption(only.number, only.finding.kind, plane) }));
  if (only) return inVolume.slice(0, MOST_PICTURES).map(({ finding, number }) => ({ wish: { finding: finding.id }, look: { plane: 'axial' }, caption: caption(number, finding.kind, 'axial') }));
  const telling = positiveLabels(record.labels).slice(0, MOST_PICTURES);
  const top = topLabel(record.labels);
  const labels = telling.length > 0 ? telling : top ? [top] : [];
  // A person who says so says it for certain.
  if (labels.length > 0) return labels.map(({ name, probability, review }) => ({ wish: { label: name }, look: {}, caption: `${displayNameOf(name, language)}${review?.state === 'disagreed' ? '' : ` ${percentText(probability)}`}${record.rendering.heatMaps.some(({ label }) => label === name) ? texts.separator + texts.heatMap : ''}` }));
  const [first] = record.findings;
  if (first) return [{ wish: { finding: first.id }, look: {}, caption: `1 · ${displayNameOf(first.kind, language)}` }];
  return record.rendering.keyImage ? [{ wish: {}, look: {}, caption: texts.title[record.analysis] ?? texts.otherTitle }] : [];
}
