import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import type { ParsedInstance, PixelDataLocation } from '../../../imaging/dicom/header.js';
import { frameLocation } from '../../../imaging/dicom/pixels.js';
import { reversedUnits, type ByteUnit } from '../../../imaging/dicom/transcode.js';
import { AppError } from '../../../kernel/errors.js';
import type { BlobReader } from '../../../platform/storage/blob-store.js';
import type { Stretch } from './byte-range.js';
import type { Chunks } from './multipart-body.js';
import type { Closable } from './read-ahead.js';

/** What is read and held at once of a value: whole chunks of the encryption. */
const WINDOW_BYTES = 1 << 20;

/** A stored instance whose bytes are at hand. Close it. */
export class OpenedInstance implements Closable {
  constructor(
    /** As when it was stored; attributes as far as they were asked for. */
    readonly parsed: ParsedInstance,
    private readonly reader: BlobReader,
  ) {}

  /** Bytes of the file, or of the inflated data set where it was deflated: what the offsets of `parsed` count in. */
  read(stretch: Stretch): Promise<Uint8Array> {
    const { inflated } = this.parsed;
    return inflated === undefined ? this.reader.read(stretch) : Promise.resolve(inflated.subarray(stretch.offset, stretch.offset + stretch.length));
  }

  /** Bytes of the file itself. */
  readFile(stretch: Stretch): Promise<Uint8Array> {
    return this.reader.read(stretch);
  }

  get sizeBytes(): number {
    return this.reader.sizeBytes;
  }

  /** The fragments of a frame, joined. @param frameIndex  from 0 @throws as `frameLocation` */
  async frame(frameIndex: number): Promise<Uint8Array> {
    return this.joined(frameLocation(this.parsed, frameIndex));
  }

  async joined(ranges: readonly Stretch[]): Promise<Uint8Array> {
    const [only] = ranges;
    if (ranges.length === 1 && only !== undefined) return this.read(only);
    const parts: Uint8Array[] = [];
    for (const range of ranges) parts.push(await this.read(range));
    return Buffer.concat(parts);
  }

  /**
   * A value piece by piece in little endian.
   *
   * @param unit  bytes that change places; `stretch` counts in the value as it is sent
   */
  async *value(value: Stretch, unit: ByteUnit, stretch: Stretch = { offset: 0, length: value.length }): AsyncGenerator<Chunks> {
    const end = stretch.offset + stretch.length;
    for (let at = stretch.offset; at < end;) {
      // Windows end where chunks of the encryption do, so that none is decrypted twice.
      const next = Math.min(end, at + WINDOW_BYTES - ((value.offset + at) % WINDOW_BYTES));
      const start = at - (at % unit);
      const stop = Math.min(value.length, Math.ceil(next / unit) * unit);
      const bytes = await this.read({ offset: value.offset + start, length: stop - start });
      if (bytes.length !== stop - start) throw new AppError('blob-corrupt', { detail: 'The object is shorter than when it was stored.' });
      const ordered = unit === 1 ? bytes : reversedUnits(bytes, unit);
      yield [ordered.subarray(at - start, next - start)];
      at = next;
    }
  }

  close(): Promise<void> {
    return this.reader.close();
  }
}

/** A parsed instance as a thread needs it for one frame: without where the other frames lie. */
export function forOneFrame(parsed: ParsedInstance, attributes: DicomJson = parsed.attributes): ParsedInstance {
  const { inflated: _, ...rest } = parsed;
  return { ...rest, attributes, bulkData: [], pixelData: withoutFragments(parsed.pixelData) };
}

function withoutFragments(pixelData: PixelDataLocation | null): PixelDataLocation | null {
  if (pixelData?.encoding !== 'encapsulated') return pixelData;
  const { element, vr } = pixelData;
  return { encoding: 'encapsulated', element, vr, basicOffsets: [], fragments: [] };
}

/** Attributes of the Image Pixel module and whatever else describes the pixels of all frames: a fraction of a large data set. */
export function pixelAttributes(attributes: DicomJson): DicomJson {
  return Object.fromEntries(Object.entries(attributes).filter(([tag, { vr }]) => tag.startsWith('0028') && vr !== 'SQ'));
}
