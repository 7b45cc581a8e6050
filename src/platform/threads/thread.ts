import type { RegistrationKind } from '../../imaging/volume/register/register.js';
import { decode, inflate, preview, readImage, render, transcode, type FrameSource, type PreviewOptions, type RenderOptions } from './imaging-tasks.js';
import { align, type SeriesSource } from './align.js';
import { drawTrend, type TrendChart } from './trend-chart.js';
import { derive, type DeriveInput } from './derive.js';
import { drawReportPdf } from './report-pdf.js';
import { drawSectionPreview, type SectionPreview } from './section-preview.js';
import { cutLabels, cutSections, type SectionsOfObject } from './sections.js';
import { serveTasks, type Answer } from './thread-protocol.js';
import type { ReportDocument } from '../../imaging/report/document.js';
import type { SectionPlan } from '../../imaging/render/sections.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';

export type ImagingTask =
  | { kind: 'decode'; source: FrameSource; frame: number }
  | { kind: 'transcode'; source: FrameSource; frame: number; transferSyntaxUid: string }
  | { kind: 'inflate'; deflated: Uint8Array; maxBytes: number }
  | { kind: 'render'; source: FrameSource; options: RenderOptions }
  | { kind: 'preview'; source: FrameSource; options: PreviewOptions }
  | { kind: 'cut-sections'; file: Uint8Array; sections: SectionsOfObject }
  | { kind: 'cut-labels'; segmentation: Pick<PackedSegmentation, 'slices' | 'grid' | 'packed'>; plan: SectionPlan }
  | { kind: 'section-preview'; content: SectionPreview }
  | { kind: 'report-pdf'; report: ReportDocument; madeAt: Date }
  | { kind: 'read-image'; bytes: Uint8Array }
  | { kind: 'trend'; chart: TrendChart }
  | { kind: 'align'; current: SeriesSource; prior: SeriesSource; freedom: RegistrationKind }
  | { kind: 'derive'; input: DeriveInput };

serveTasks(async (message): Promise<Answer> => {
  // Only ImagingThreads sends messages here.
  const task = message as ImagingTask;
  switch (task.kind) {
    case 'decode': {
      const result = await decode(task.source, task.frame);
      return moved(result, result.pixels);
    }
    case 'transcode': {
      const { bytes, format } = await transcode(task.source, task.frame, task.transferSyntaxUid);
      return movedWhole(bytes, (whole) => ({ bytes: whole, format }));
    }
    case 'inflate':
      return movedWhole(inflate(task.deflated, task.maxBytes), (whole) => whole);
    case 'render': {
      // Copied out of Node's pool of buffers, which cannot be moved.
      const result = new Uint8Array(await render(task.source, task.options));
      return moved(result, result);
    }
    case 'preview': {
      const result = new Uint8Array(await preview(task.source, task.options));
      return moved(result, result);
    }
    case 'trend': {
      const result = new Uint8Array(await drawTrend(task.chart));
      return moved(result, result);
    }
    case 'align':
      return { result: await align(task.current, task.prior, task.freedom), transfer: [] };
    case 'cut-sections':
      return { result: await cutSections(task.file, task.sections) };
    case 'cut-labels':
      return { result: cutLabels(task.segmentation, task.plan) };
    case 'section-preview': {
      const result = new Uint8Array(await drawSectionPreview(task.content));
      return moved(result, result);
    }
    case 'report-pdf': {
      const result = new Uint8Array(await drawReportPdf(task.report, task.madeAt));
      return moved(result, result);
    }
    case 'read-image': {
      const result = await readImage(task.bytes);
      return moved(result, result.pixels);
    }
    case 'derive': {
      const outcome = derive(task.input);
      if (outcome.kind === 'withheld') return { result: outcome };
      const objects = outcome.objects.map((object) => ({ ...object, bytes: whole(object.bytes) }));
      return { result: { ...outcome, objects }, transfer: objects.map(({ bytes }) => bytes.buffer) };
    }
  }
});

/** For bytes that may lie in a buffer with others, which would move along. */
function movedWhole(bytes: Uint8Array, result: (whole: Uint8Array) => unknown): Answer {
  const alone = whole(bytes);
  return moved(result(alone), alone);
}

function whole(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function moved(result: unknown, pixels: ArrayBufferView): Answer {
  return { result, transfer: pixels.buffer instanceof ArrayBuffer ? [pixels.buffer] : [] };
}
