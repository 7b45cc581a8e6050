import { Injectable } from '@nestjs/common';
import type { DicomJson, DicomJsonElement } from '../../../imaging/dicom/dicom-json.js';
import type { DataKey } from '../../../platform/crypto/key-vault.js';
import { BULK_DATA_PREFIX } from '../instance-layout.js';
import { openJson } from '../sealed-json.js';

/** Opened attributes of a study, a series or an instance, and the texts of those that were written out already. */
export class StoredAttributes {
  private readonly texts = new Map<string, string | undefined>();

  constructor(readonly json: DicomJson) {}

  /** An element as JSON text, without large values; undefined when there is none. */
  text(tag: string): string | undefined {
    const known = this.texts.get(tag);
    if (known !== undefined) return known;
    const element = this.json[tag];
    if (element === undefined) return undefined;
    const text = elementText(element);
    this.texts.set(tag, text);
    return text;
  }
}

/** @returns undefined when the element is a large value that was left in the object: whoever wants it retrieves the metadata */
export function elementText(element: DicomJsonElement): string | undefined {
  const text = JSON.stringify(element);
  // Quotes within values are escaped, so that this is never part of one.
  if (!text.includes(`"BulkDataURI":"${BULK_DATA_PREFIX}`)) return text;
  const kept = withoutBulkData(element);
  return kept && JSON.stringify(kept);
}

function withoutBulkData(element: DicomJsonElement): DicomJsonElement | undefined {
  if (element.BulkDataURI !== undefined) return undefined;
  if (element.vr !== 'SQ' || element.Value === undefined) return element;
  return {
    vr: 'SQ',
    // The values of SQ are items.
    Value: element.Value.map((item) => Object.fromEntries(Object.entries((item ?? {}) as DicomJson).flatMap(([tag, inner]) => {
      const kept = withoutBulkData(inner);
      return kept ? [[tag, kept]] : [];
    }))),
  };
}

interface Remembered {
  sealed: Buffer;
  attributes: StoredAttributes;
  place: Place;
}

/** What is remembered under one key, by context. */
type Shelf = Map<string, Remembered>;

/** Where something is remembered, without keeping it there. */
interface Place {
  shelf: WeakRef<Shelf>;
  context: string;
  bytes: number;
}

/** What everything remembered may take together, about, and a single value. */
const MOST_BYTES = 32 << 20;
const LARGEST_BYTES = 64 << 10;
/** Parsed, and written out as texts once more, JSON takes about four times its length. */
const JSON_FACTOR = 4;
/** Whatever a value takes that has hardly any content. */
const LEAST_BYTES = 512;

/**
 * Opens sealed attributes, and remembers those of studies and series that lists show again and again. What is remembered hangs
 * on the opened key: once the vault lets go of it, because it was destroyed or not used, nothing remains. It counts for the very
 * bytes that the database gave, so that a change or a flipped bit is never covered up.
 */
@Injectable()
export class SealedAttributesReader {
  private readonly byKey = new WeakMap<DataKey, Shelf>();
  /** Least recently used first. Those whose key is gone stay, empty, until it is their turn. */
  private readonly places = new Set<Place>();
  private bytes = 0;

  /** @throws AppError `blob-corrupt` */
  open(key: DataKey, sealed: Buffer, context: string): StoredAttributes {
    return parsed(openJson(key, sealed, context));
  }

  /** As `open`, for what will be asked for again. */
  openOften(key: DataKey, sealed: Buffer, context: string): StoredAttributes {
    const known = this.byKey.get(key)?.get(context);
    if (known?.sealed.equals(sealed) === true) {
      this.places.delete(known.place);
      this.places.add(known.place);
      return known.attributes;
    }
    const json = openJson(key, sealed, context);
    const attributes = parsed(json);
    if (known) this.forget(known.place);
    this.remember(key, sealed, context, { attributes, bytes: LEAST_BYTES + sealed.length + JSON_FACTOR * json.length });
    return attributes;
  }

  private remember(key: DataKey, sealed: Buffer, context: string, { attributes, bytes }: { attributes: StoredAttributes; bytes: number }): void {
    if (bytes > LARGEST_BYTES) return;
    const shelf = this.byKey.get(key) ?? new Map<string, Remembered>();
    this.byKey.set(key, shelf);
    const place = { shelf: new WeakRef(shelf), context, bytes };
    // A copy, since what comes from the database may be a piece of something larger.
    shelf.set(context, { sealed: Buffer.from(new Uint8Array(sealed).buffer), attributes, place });
    this.places.add(place);
    this.bytes += bytes;
    for (const oldest of this.places) {
      if (this.bytes <= MOST_BYTES) return;
      this.forget(oldest);
    }
  }

  private forget(place: Place): void {
    place.shelf.deref()?.delete(place.context);
    this.places.delete(place);
    this.bytes -= place.bytes;
  }
}

/** @param json  sealed by us out of a DicomJson */
function parsed(json: string): StoredAttributes {
  return new StoredAttributes(JSON.parse(json) as DicomJson);
}
