import { decode, inflate, preview, readImage, render, transcode, type FrameSource, type PreviewOptions, type RenderOptions } from './imaging-tasks.js';
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
  | { kind: 'read-image'; bytes: Uint8Array };

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
  }
});

/** For bytes that may lie in a buffer with others, which would move along. */
function movedWhole(bytes: Uint8Array, result: (whole: Uint8Array) => unknown): Answer {
  const whole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
  return moved(result(whole), whole);
}

function moved(result: unknown, pixels: ArrayBufferView): Answer {
  return { result, transfer: pixels.buffer instanceof ArrayBuffer ? [pixels.buffer] : [] };
}
