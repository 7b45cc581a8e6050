import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import sharp from 'sharp';
import { ADMIN, eventually, ROOT } from './product.js';

type Vector3 = readonly [number, number, number];
/** In pixels of the canvas, from its upper left corner. */
export type Spot = readonly [x: number, y: number];

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
/** Where an installation has left npm `@ohif/app` out, nothing opens it. */
export const OHIF_IS_INSTALLED = existsSync(join(ROOT, 'node_modules', '@ohif', 'app', 'dist', 'index.html'));

/** A browser that draws without a graphics card, and asks nobody for anything. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM ?? '',
    args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** A window of the viewer, signed in. */
export class ViewerWindow {
  private constructor(
    readonly page: Page,
    /** Errors of the page, and what was refused to it. */
    readonly complaints: readonly string[],
  ) {}

  static async open(browser: Browser, url: string): Promise<ViewerWindow> {
    const page = await browser.newPage({ baseURL: url, viewport: { width: 1400, height: 900 } });
    await page.request.post('/session', { data: { email: ADMIN.email, password: ADMIN.password }, headers: { origin: url } });
    const complaints: string[] = [];
    page.on('console', (line) => { if (line.type() === 'error') complaints.push(line.text()); });
    page.on('pageerror', (error) => { complaints.push(error.message); });
    page.on('response', (response) => { if (response.status() >= 400) complaints.push(`${String(response.status())} ${new URL(response.url()).pathname}`); });
    return new ViewerWindow(page, complaints);
  }

  get canvas(): Locator {
    return this.page.locator('canvas.cornerstone-canvas').first();
  }

  async openStudy(studyInstanceUid: string): Promise<void> {
    await this.page.goto(`/viewer/viewer?StudyInstanceUIDs=${studyInstanceUid}`);
    await this.canvas.waitFor({ timeout: 90_000 });
    await this.drawn();
  }

  /** Shows the slice that is nearest to a place in LPS millimetres, or that of an image. @returns where the place is on the canvas */
  async showPlace(place: Vector3, sopInstanceUid = 'none'): Promise<Spot> {
    const step = `(async () => {
      const viewport = ${VIEWPORT};
      const normal = viewport.getCamera().viewPlaneNormal;
      const depth = (point) => normal.reduce((sum, part, axis) => sum + part * point[axis], 0);
      const instances = window.services.displaySetService.activeDisplaySets.flatMap((set) => set.instances ?? []);
      const away = viewport.getImageIds().map((id) => {
        const image = instances.find(({ SOPInstanceUID }) => id.includes(SOPInstanceUID + '/'));
        return Math.abs(depth(image.ImagePositionPatient) - depth(${JSON.stringify(place)}));
      });
      const named = viewport.getImageIds().findIndex((id) => id.includes('/${sopInstanceUid}/'));
      const nearest = named >= 0 ? named : away.indexOf(Math.min(...away));
      const isThere = viewport.getCurrentImageIdIndex() === nearest;
      await viewport.setImageIdIndex(nearest);
      viewport.render();
      return isThere;
    })()`;
    // The viewer may put the slices in another order once it knows them all.
    await eventually('the slice', async () => {
      await this.page.evaluate(step);
      await this.drawn();
      return this.page.evaluate<boolean>(step);
    });
    return this.spotOf(place);
  }

  /** Where a place in LPS millimetres is on the canvas, as the viewer's camera has it. */
  spotOf(place: Vector3): Promise<Spot> {
    return this.page.evaluate<Spot>(`(() => { const [x, y] = ${VIEWPORT}.worldToCanvas(${JSON.stringify(place)}); return [x, y]; })()`);
  }

  /** Opens the first object of a kind over the images, as a reader does. */
  async openObject(modality: 'SEG' | 'SR'): Promise<void> {
    await this.page.locator('[data-cy^="study-browser-thumbnail"]').filter({ hasText: new RegExp(`^${modality}`) }).first().dblclick();
    const isOpen = modality === 'SEG' ? 'window.services.segmentationService.getSegmentations().length > 0' : `window.services.displaySetService.activeDisplaySets.some(({ Modality, measurements = [] }) => Modality === 'SR' && measurements.some(({ loaded }) => loaded))`;
    await eventually(`the ${modality}`, () => this.page.evaluate<boolean>(`${isOpen} && ${VIEWPORT} !== undefined`), 120_000);
    await this.drawn();
  }

  /** Where circles of a report are drawn, and how large. */
  circles(): Promise<{ at: Spot; radii: Spot }[]> {
    return this.page.evaluate(`[...document.querySelectorAll('svg.svg-layer ellipse')].map(({ cx, cy, rx, ry }) => ({ at: [cx.baseVal.value, cy.baseVal.value], radii: [rx.baseVal.value, ry.baseVal.value] }))`);
  }

  /** Lines beside the marks of a report, once there are some, and where they are in the window. */
  lines(): Promise<{ text: string; top: number; left: number; right: number }[]> {
    return eventually('lines beside a mark', async () => {
      const lines = await this.linesNow();
      return lines.length > 0 && lines;
    });
  }

  private linesNow(): Promise<{ text: string; top: number; left: number; right: number }[]> {
    return this.page.evaluate(`[...document.querySelectorAll('svg.svg-layer tspan')].map((line) => ({ text: line.textContent, ...(({ top, left, right }) => ({ top, left, right }))(line.getBoundingClientRect()) }))`);
  }

  async shot(folder: string, name: string): Promise<void> {
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  /** Until nothing on the canvas changes any more and something is on it. */
  async drawn(): Promise<void> {
    let before = '';
    await eventually('a picture that stays', async () => {
      const now = await this.page.evaluate<string>(`${CANVAS}.toDataURL()`);
      const stays = now === before;
      before = now;
      if (!stays) await new Promise((resolve) => setTimeout(resolve, 700));
      return stays && ((await sharp(dataOf(now)).greyscale().stats()).channels[0]?.stdev ?? 0) > 2;
    }, 180_000);
  }

  /** What is on the canvas, without the texts and marks that lie over it. */
  async picture(): Promise<{ width: number; height: number; rgb: Buffer }> {
    const { data, info } = await sharp(dataOf(await this.page.evaluate<string>(`${CANVAS}.toDataURL()`))).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, rgb: data };
  }

  /** Middle of the pixels that `belongs` takes. @returns undefined where it takes none */
  async middle(belongs: (red: number, green: number, blue: number) => boolean): Promise<{ at: Spot; pixels: number } | undefined> {
    const { width, rgb } = await this.picture();
    let [x, y, pixels] = [0, 0, 0];
    for (let at = 0; at < rgb.length; at += 3) {
      if (!belongs(rgb[at] ?? 0, rgb[at + 1] ?? 0, rgb[at + 2] ?? 0)) continue;
      x += (at / 3) % width + 0.5;
      y += Math.floor(at / 3 / width) + 0.5;
      pixels++;
    }
    return pixels === 0 ? undefined : { at: [x / pixels, y / pixels], pixels };
  }
}

const VIEWPORT = 'window.services.cornerstoneViewportService.getRenderingEngine().getViewports()[0]';
const CANVAS = "document.querySelector('canvas.cornerstone-canvas')";

function dataOf(url: string): Buffer {
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

export const isColoured = (red: number, green: number, blue: number): boolean => Math.max(red, green, blue) - Math.min(red, green, blue) > 25;
export const isBright = (red: number, green: number, blue: number): boolean => !isColoured(red, green, blue) && green > 128;

/** In pixels; Infinity where one of them is missing. */
export function apart(one: Spot | undefined, other: Spot | undefined): number {
  return one && other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : Infinity;
}
