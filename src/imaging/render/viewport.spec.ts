import { describe, expect, it } from 'vitest';
import { applyViewport } from './viewport.js';
import type { DisplayImage } from './window.js';

const image: DisplayImage = { width: 4, height: 2, channels: 1, data: Uint8Array.of(0, 10, 20, 30, 40, 50, 60, 70) };

describe('a viewport', () => {
  it('shows the whole image as large as it fits, larger too, without distortion', () => {
    expect(applyViewport(image, { width: 8, height: 100 })).toMatchObject({ width: 8, height: 4 });
    expect(applyViewport(image, { width: 100, height: 1 })).toMatchObject({ width: 2, height: 1 });
    expect(applyViewport(image, { width: 4, height: 2 })).toEqual(image);
  });

  it('shows a region of it', () => {
    expect(applyViewport(image, { width: 2, height: 2, region: { x: 1, y: 0, width: 2, height: 2 } })).toEqual({ width: 2, height: 2, channels: 1, data: Uint8Array.of(10, 20, 50, 60) });
    expect(applyViewport(image, { width: 1, height: 1, region: { x: 3.6, y: 1.9, width: 0.1, height: 0.1 } })).toEqual({ width: 1, height: 1, channels: 1, data: Uint8Array.of(70) });
  });

  it('turns the image over either axis', () => {
    expect(applyViewport(image, { width: 4, height: 2, flipHorizontally: true }).data).toEqual(Uint8Array.of(30, 20, 10, 0, 70, 60, 50, 40));
    expect(applyViewport(image, { width: 4, height: 2, flipVertically: true }).data).toEqual(Uint8Array.of(40, 50, 60, 70, 0, 10, 20, 30));
    const colour: DisplayImage = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect(applyViewport(colour, { width: 2, height: 1, flipHorizontally: true }).data).toEqual(Uint8Array.of(4, 5, 6, 1, 2, 3));
  });
});
