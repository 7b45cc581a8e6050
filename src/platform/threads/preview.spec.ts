import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { DisplayImage } from '../../imaging/render/window.js';
import { drawLine, widthOf } from './lettering.js';
import { LEGEND_HEIGHT, type PreviewLegend } from './legend.js';
import { drawPreview, PREVIEW_SIZE, type Preview } from './preview.js';

const legend: PreviewLegend = { caption: '肺炎', value: '93 %', detail: '高于阈值 50 % · model 1.0.0', disclaimer: '不用于初步诊断。', evidence: { title: '图像中的依据', weak: '弱', strong: '强' } };

const grey = (width: number, height: number): DisplayImage => ({ width, height, channels: 1, data: new Uint8Array(width * height).fill(80) });

const square: Preview = { image: grey(920, 920), heatMap: undefined, legend, sides: { left: 'R', right: 'L' } };

/** Pixels of a region that are brighter than `limit` in every channel. */
async function brightPixels(png: Uint8Array, region: { left: number; top: number; width: number; height: number }, limit: number): Promise<number> {
  const data = await sharp(png).extract(region).removeAlpha().raw().toBuffer();
  let bright = 0;
  for (let i = 0; i < data.length; i += 3) if (Math.min(data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0) > limit) bright++;
  return bright;
}

describe('drawPreview', () => {
  it.each([[4000, 3000], [920, 920], [300, 2000], [28, 28], [2000, 3]])('fits an image of %i × %i into the preview and keeps its proportions', async (width, height) => {
    const meta = await sharp(await drawPreview({ ...square, image: grey(width, height) })).metadata();
    expect(Math.max(meta.width, meta.height)).toBeLessThanOrEqual(PREVIEW_SIZE);
    expect(meta.width).toBeGreaterThanOrEqual(640);
    const imageHeight = meta.height - LEGEND_HEIGHT;
    if (meta.width > 640) expect(meta.width / imageHeight).toBeCloseTo(width / height, width / height > 100 ? -3 : 1);
  });

  it('writes Chinese without any font of the system', async () => {
    const [named, nameless] = await Promise.all([drawPreview(square), drawPreview({ ...square, legend: { ...legend, caption: '', value: '' } })]);
    const caption = { left: 0, top: 920 + 10, width: 400, height: 32 };
    expect(await brightPixels(named, caption, 200)).toBeGreaterThan(150);
    expect(await brightPixels(nameless, caption, 200)).toBe(0);
  });

  it('marks sides only when they are known', async () => {
    const edge = { left: 10, top: 443, width: 34, height: 34 };
    expect(await brightPixels(await drawPreview(square), edge, 200)).toBeGreaterThan(20);
    expect(await brightPixels(await drawPreview({ ...square, sides: undefined }), edge, 200)).toBe(0);
  });

  it('lays the heat map over the image and explains its colours', async () => {
    const heatMap = { width: 2, height: 1, data: Float32Array.from([0, 1]) };
    const png = await drawPreview({ ...square, heatMap });
    const colour = async (left: number, top: number): Promise<number[]> => [...await sharp(png).extract({ left, top, width: 1, height: 1 }).removeAlpha().raw().toBuffer()];
    expect(await colour(60, 500)).toEqual([80, 80, 80]);
    const [red = 0, , blue = 0] = await colour(900, 500);
    expect(red).toBeGreaterThan(blue + 30);
    const bar = 920 - 20 - 168;
    expect((await colour(bar + 160, 920 + 48))[0]).toBeGreaterThan(200);
    expect((await colour(bar + 1, 920 + 48))[0]).toBeLessThan(100);
  });

  it('takes any text for text', async () => {
    await expect(drawPreview({ ...square, legend: { ...legend, caption: '</text><script>&"\u0000', detail: 'x'.repeat(5000) } })).resolves.toBeInstanceOf(Buffer);
  });
});

describe('drawLine', () => {
  it('cuts a text to its room', () => {
    const paths = (room?: number): number => drawLine({ text: 'iiiiiiiiii肺炎', x: 0, y: 0, size: 20, fill: '#fff', ...(room !== undefined && { room }) }).split('<path').length - 1;
    expect(paths()).toBe(12);
    expect(paths(widthOf('iiii…', 20) + 1)).toBe(5);
  });

  it('measures Chinese as squares', () => {
    expect(widthOf('肺炎', 20)).toBeCloseTo(40, 5);
  });
});
