import { describe, expect, it } from 'vitest';
import { renderingQuery, viewportOn, type RenderingQuery } from './rendering-query.js';

const parse = (text: string, isThumbnail = false): RenderingQuery => renderingQuery(new URLSearchParams(text), isThumbnail);
const refused = expect.objectContaining({ code: 'invalid-query' }) as unknown as Error;

describe('Rendering parameters', () => {
  it('are all optional', () => {
    expect(parse('')).toEqual({ window: undefined, viewport: undefined, quality: undefined, warnings: [] });
  });

  it('window is a center, a width and a function', () => {
    expect(parse('window=40,400,linear').window).toEqual({ center: 40, width: 400, shape: 'LINEAR' });
    expect(parse('window=-600.5,1.5e3,sigmoid').window).toEqual({ center: -600.5, width: 1500, shape: 'SIGMOID' });
    expect(parse('window=0,0.5,linear-exact').window).toEqual({ center: 0, width: 0.5, shape: 'LINEAR_EXACT' });
    for (const text of ['40', '40,400', '40,400,', '40,400,cubic', '40,400,linear,1', 'a,400,linear', '40,,linear', '40,0,linear', '40,-1,linear', '40,0.5,linear', '40,0,sigmoid', 'Infinity,1,linear', '1e999,1,linear', '']) {
      expect(() => parse(`window=${text}`), text).toThrow(refused);
    }
    expect(() => parse('window=40,400,linear&window=1,2,linear')).toThrow(refused);
  });

  it('viewport is a size and a region of the image', () => {
    const image = { rows: 100, columns: 200 };
    const on = (text: string): unknown => { const { viewport } = parse(`viewport=${text}`); return viewport && viewportOn(viewport, image); };
    expect(on('50,60')).toEqual({ width: 50, height: 60, region: { x: 0, y: 0, width: 200, height: 100 }, flipHorizontally: false, flipVertically: false });
    expect(on('50,60,10,20,30,40')).toMatchObject({ region: { x: 10, y: 20, width: 30, height: 40 } });
    expect(on('50,60,10,20')).toMatchObject({ region: { x: 10, y: 20, width: 190, height: 80 } });
    expect(on('50,60,,,-200,-100')).toMatchObject({ region: { x: 0, y: 0, width: 200, height: 100 }, flipHorizontally: true, flipVertically: true });
    for (const text of ['50', '50,', '0,10', '-5,10', '5.5,10', '50,60,1,2,3,4,5', '50,60,a', '50,60,-1,0', '50,60,0,0,0,10', '9000,10', '']) expect(() => parse(`viewport=${text}`), text).toThrow(refused);
    for (const text of ['50,60,0,0,201,1', '50,60,200,0', '50,60,0,99,1,2']) expect(() => on(text), text).toThrow(refused);
  });

  it('quality is a percentage', () => {
    expect(parse('quality=1').quality).toBe(1);
    expect(parse('quality=100').quality).toBe(100);
    for (const text of ['0', '101', '50.5', '-1', 'high', '']) expect(() => parse(`quality=${text}`), text).toThrow(refused);
  });

  it('tell what is not done', () => {
    expect(parse('annotation=patient,technique&iccprofile=srgb').warnings).toHaveLength(2);
    expect(parse('iccprofile=no').warnings).toEqual([]);
    expect(() => parse('annotation=everything')).toThrow(refused);
    expect(() => parse('iccprofile=cmyk')).toThrow(refused);
  });

  it('of a thumbnail are its size alone', () => {
    expect(parse('viewport=64,64&window=nonsense', true)).toMatchObject({ viewport: { width: 64, height: 64 }, window: undefined });
    expect(() => parse('viewport=64,64,0,0,1,1', true)).toThrow(refused);
  });
});
