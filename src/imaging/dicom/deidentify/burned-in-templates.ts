/** Pixels from the left and from the top, `[x, x + width)`. */
export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where the screens of one device show who is examined. */
interface Template {
  modality: string;
  manufacturer: RegExp;
  model: RegExp;
  /** The layout belongs to a size. */
  rows: number;
  columns?: number;
  /** Of Series Description. */
  series?: RegExp;
  /** Of Image Type, its values joined by a backslash. */
  imageType?: RegExp;
  /** Rows of the banner, over the whole width. */
  banner?: number;
  more?: readonly Rectangle[];
}

/** What a template is found by; upper or lower case. */
export interface DeviceImage {
  modality: string;
  manufacturer: string;
  model: string;
  seriesDescription: string;
  imageType: string;
  rows: number;
  columns: number;
}

/** modality, manufacturer, model, rows, banner. Banners as they were measured by CTP's and deid's users, widened to the whole width. */
const BANNERS: readonly (readonly [string, RegExp, RegExp, number, number])[] = [
  ['US', /siemens/i, /s2000/i, 768, 60], ['US', /siemens/i, /s3000/i, 768, 60], ['US', /siemens/i, /acuson nx3/i, 768, 58], ['US', /siemens/i, /g40/i, 600, 45], ['US', /siemens/i, /x150/i, 600, 50],
  ['US', /acuson/i, /sequoia/i, 480, 30],
  ['US', /^ge\b/i, /logiq ?9/i, 480, 30], ['US', /^ge\b/i, /logiq ?e/i, 614, 75], ['US', /^ge\b/i, /logiq ?e9/i, 720, 70], ['US', /^ge\b/i, /voluson p8/i, 727, 65], ['US', /^ge\b/i, /voluson s/i, 743, 62],
  ['US', /^ge\b/i, /voluson s10/i, 852, 62], ['US', /^ge\b/i, /voluson s10/i, 600, 62], ['US', /^ge\b/i, /logiq ?s7/i, 720, 67], ['US', /^ge\b/i, /logiq ?s8/i, 873, 65], ['US', /^ge\b/i, /logiq ?s8/i, 768, 60],
  ['US', /^ge\b/i, /logiq ?s8/i, 819, 57], ['US', /^ge\b/i, /logiq ?s8/i, 720, 60], ['US', /^ge\b/i, /logiq ?p/i, 614, 67], ['US', /^ge\b/i, /logiq ?s6/i, 768, 80],
  ['US', /philips/i, /iu22/i, 480, 47], ['US', /philips/i, /iu22/i, 600, 59], ['US', /philips/i, /iu22/i, 768, 75], ['US', /philips/i, /iu22/i, 786, 75], ['US', /philips/i, /affiniti/i, 825, 70],
  ['US', /philips/i, /epiq/i, 600, 59], ['US', /philips/i, /epiq/i, 768, 59], ['US', /philips/i, /epiq/i, 825, 70], ['US', /philips/i, /cx50/i, 600, 59],
  ['US', /zonare/i, /z_one/i, 600, 65], ['US', /zonare/i, /zs3/i, 600, 65],
  ['US', /toshiba|canon/i, /a400|a500/i, 720, 68], ['US', /toshiba|canon/i, /a300|a500/i, 632, 72], ['US', /toshiba|canon/i, /a300/i, 720, 68], ['US', /toshiba|canon/i, /a500/i, 903, 60],
  ['US', /supersonic/i, /aixplorer/i, 1050, 89],
  ['US', /esaote/i, /6100/i, 608, 52], ['US', /esaote/i, /6150/i, 804, 72], ['US', /esaote/i, /6150/i, 608, 72], ['US', /esaote/i, /6150/i, 555, 72],
  ['US', /medison|samsung/i, /accuvix v20/i, 768, 65], ['US', /medison|samsung/i, /sonoace r7/i, 768, 60], ['US', /samsung/i, /ugeo h60/i, 720, 70],
  ['US', /mindray/i, /m6/i, 600, 75], ['US', /mindray/i, /m7/i, 600, 75], ['US', /mindray/i, /m7/i, 768, 80], ['US', /mindray/i, /m9/i, 910, 60], ['US', /mindray/i, /z5/i, 600, 62], ['US', /mindray/i, /dc-8/i, 900, 60],
  ['US', /kretz/i, /v730/i, 600, 80], ['US', /hitachi/i, /preirus/i, 768, 74], ['US', /hitachi/i, /avius/i, 768, 74], ['US', /hitachi|aloka/i, /prosound f75/i, 768, 60],
  ['US', /chison/i, /q9/i, 568, 80], ['US', /ultrasonix/i, /sonix/i, 768, 60], ['US', /ultrasonix/i, /sonix/i, 600, 60],
];

const TEMPLATES: readonly Template[] = [
  ...BANNERS.map(([modality, manufacturer, model, rows, banner]) => ({ modality, manufacturer, model, rows, banner })),
  { modality: 'US', manufacturer: /siemens/i, model: /antares/i, rows: 768, columns: 1024, banner: 60, more: [{ x: 200, y: 60, width: 20, height: 20 }, { x: 800, y: 60, width: 110, height: 24 }] },
  { modality: 'US', manufacturer: /siemens/i, model: /acuson/i, rows: 600, columns: 800, banner: 43, more: [{ x: 128, y: 56, width: 16, height: 16 }] },
  { modality: 'US', manufacturer: /atl/i, model: /hdi ?5000/i, rows: 476, columns: 640, banner: 40 },
  // Dose reports: name and number stand in the head of the sheet.
  { modality: 'CT', manufacturer: /^ge\b/i, model: /./, rows: 512, columns: 512, series: /dose report/i, imageType: /SCREEN SAVE/, banner: 200 },
  { modality: 'CT', manufacturer: /toshiba|canon/i, model: /aquilion one/i, rows: 512, columns: 512, series: /dose/i, imageType: /SECONDARY/, banner: 240 },
  { modality: 'CT', manufacturer: /philips/i, model: /./, rows: 512, columns: 512, imageType: /DOSE/, banner: 135 },
  { modality: 'CT', manufacturer: /siemens/i, model: /./, rows: 860, columns: 1132, series: /dose|protocol/i, imageType: /SECONDARY/, banner: 60 },
  { modality: 'NM', manufacturer: /siemens/i, model: /./, rows: 860, columns: 1132, imageType: /SECONDARY/, banner: 90, more: [{ x: 0, y: 780, width: 1132, height: 80 }] },
];

/** What to black out, or undefined when no template fits: then nobody knows what the image shows. */
export function burnedInRectangles(image: DeviceImage): Rectangle[] | undefined {
  const template = TEMPLATES.find((one) =>
    one.modality === image.modality && one.rows === image.rows && (one.columns ?? image.columns) === image.columns
    && one.manufacturer.test(image.manufacturer) && one.model.test(image.model)
    && (one.series === undefined || one.series.test(image.seriesDescription)) && (one.imageType === undefined || one.imageType.test(image.imageType)));
  if (template === undefined) return undefined;
  const banner = template.banner === undefined ? [] : [{ x: 0, y: 0, width: image.columns, height: template.banner }];
  return [...banner, ...(template.more ?? [])];
}
