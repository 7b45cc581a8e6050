import { text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';

export type KernelClass = 'soft' | 'sharp' | 'unknown';

/** From this number on a Siemens kernel is sharp: B50f, Br54, Bl57d. */
const SIEMENS_SHARP = 50;
/** The first of the Canon (Toshiba) kernels that are sharp: FC30 bone, FC50 lung. */
const CANON_SHARP = 30;

/** GE and United Imaging have words, Philips letters. */
const SHARP_NAMES = /^(LUNG|BONE|BONE ?PLUS|EDGE|ULTRA|HD ?LUNG|L|YC|YD|D|E|EC|EB)$|LUNG|SHARP|HIGH ?RES|HRCT/;
const SOFT_NAMES = /^(STANDARD|STD|SOFT|CHST|DETAIL|A|B|C|YA|YB|UA|UB|SA|SB|EA)$|SOFT|STAND|SMOOTH|MEDIAST/;
const SHARP_WORDS = /\bLUNG ?(WINDOW|KERNEL|ALGO\w*)?\b|SHARP|HRCT|\bBONE\b|肺窗|高分辨|骨窗/;
const SOFT_WORDS = /\bSOFT|\bSTD\b|STANDARD|MEDIAST|\bST\b|纵隔|软组织|标准/;

/**
 * Whether a series was reconstructed with a kernel for soft tissue or one for lung and bone: by the name of the kernel, else by the description.
 * An enhanced object's kernel must lie at the top, as `frameAttributes` lays it.
 */
export function kernelClassOf(attributes: DicomJson): KernelClass {
  const kernel = kernelNameOf(attributes)?.toUpperCase();
  const byName = kernel === undefined ? 'unknown' : classOfName(kernel);
  if (byName !== 'unknown') return byName;
  const description = (text(attributes, 'SeriesDescription') ?? '').toUpperCase();
  // Soft first: "soft tissue lung" is a soft kernel of the lung.
  if (SOFT_WORDS.test(description)) return 'soft';
  return SHARP_WORDS.test(description) ? 'sharp' : 'unknown';
}

/** The kernel as the scanner names it. */
export function kernelNameOf(attributes: DicomJson): string | undefined {
  const name = text(attributes, 'ConvolutionKernel')?.trim();
  return name === undefined || name === '' ? undefined : name;
}

function classOfName(kernel: string): KernelClass {
  const siemens = /^[BHQTUID][A-Z]{0,2}(\d{2})/.exec(kernel);
  if (siemens?.[1] !== undefined) return Number(siemens[1]) >= SIEMENS_SHARP ? 'sharp' : 'soft';
  const canon = /^FC(\d{2})/.exec(kernel);
  if (canon?.[1] !== undefined) return Number(canon[1]) >= CANON_SHARP ? 'sharp' : 'soft';
  if (SHARP_NAMES.test(kernel)) return 'sharp';
  return SOFT_NAMES.test(kernel) ? 'soft' : 'unknown';
}
