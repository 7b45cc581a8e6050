import { decode, preview, readImage, render, type FrameSource, type PreviewOptions, type RenderOptions } from './imaging-tasks.js';
import { serveTasks, type Answer } from './thread-protocol.js';

export type ImagingTask =
  | { kind: 'decode'; source: FrameSource; frame: number }
  | { kind: 'render'; source: FrameSource; options: RenderOptions }
  | { kind: 'preview'; source: FrameSource; options: PreviewOptions }
  | { kind: 'read-image'; bytes: Uint8Array };

serveTasks(async (message): Promise<Answer> => {
  // Only ImagingThreads sends messages here.
  const task = message as ImagingTask;
  switch (task.kind) {
    case 'decode': {
      const result = await decode(task.source, task.frame);
      return moved(result, result.pixels);
    }
    case 'render': {
      // Copied out of Node's pool of buffers, which cannot be moved.
      const result = new Uint8Array(await render(task.source, task.options));
      return moved(result, result);
    }
    case 'preview': {
      const result = new Uint8Array(await preview(task.source, task.options));
      return moved(result, result);
    }
    case 'read-image': {
      const result = await readImage(task.bytes);
      return moved(result, result.pixels);
    }
  }
});

function moved(result: unknown, pixels: ArrayBufferView): Answer {
  return { result, transfer: pixels.buffer instanceof ArrayBuffer ? [pixels.buffer] : [] };
}
