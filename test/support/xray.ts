import sharp from 'sharp';

/** A grey picture with some structure, different for every seed: enough for a classifier to have an opinion. `[row, column]` */
export function grayPixels(seed: number, side = 256): Uint8Array {
  const pixels = new Uint8Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const wave = Math.sin((x * (3 + (seed % 7))) / side) * Math.cos((y * (2 + (seed % 5))) / side);
      pixels[y * side + x] = Math.round(120 + 90 * wave + ((x * 31 + y * 17 + seed * 101) % 23));
    }
  }
  return pixels;
}

export async function grayPng(seed: number, side = 256): Promise<Buffer> {
  return sharp(grayPixels(seed, side), { raw: { width: side, height: side, channels: 1 } }).toColourspace('b-w').png().toBuffer();
}

export interface UploadFields {
  patientId?: string;
  patientAge?: string;
  patientSex?: string;
  modality?: string;
  bodyPart?: string;
  viewPosition?: string;
}

/** The multipart body of `POST /api/v1/images`. */
export function uploadForm(files: { name: string; bytes: Uint8Array }[], fields: UploadFields = {}): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  for (const { name, bytes } of files) form.append('files', new Blob([new Uint8Array(bytes)]), name);
  return form;
}
