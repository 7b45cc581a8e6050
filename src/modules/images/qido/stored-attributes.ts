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
}

const MOST_KEYS = 1_000;
const MOST_PER_KEY = 32;

/**
 * Opens sealed attributes, and remembers those of studies and series that lists show again and again. What is remembered hangs
 * on the opened key: once the vault lets go of it, because it was destroyed or not used, nothing remains. It counts for the very
 * bytes that the database gave, so that a change or a flipped bit is never covered up.
 */
@Injectable()
export class SealedAttributesReader {
  private readonly byKey = new WeakMap<DataKey, Map<string, Remembered>>();
  /** A ring of keys that something is remembered under. */
  private readonly keys: WeakRef<DataKey>[] = [];
  private next = 0;

  /** @throws AppError `blob-corrupt` */
  open(key: DataKey, sealed: Buffer, context: string): StoredAttributes {
    // Sealed by us out of a DicomJson.
    return new StoredAttributes(JSON.parse(openJson(key, sealed, context)) as DicomJson);
  }

  /** As `open`, for what will be asked for again. */
  openOften(key: DataKey, sealed: Buffer, context: string): StoredAttributes {
    const known = this.byKey.get(key)?.get(context);
    if (known?.sealed.equals(sealed) === true) return known.attributes;
    const attributes = this.open(key, sealed, context);
    const shelf = this.shelfOf(key);
    if (shelf.size >= MOST_PER_KEY) shelf.clear();
    shelf.set(context, { sealed, attributes });
    return attributes;
  }

  private shelfOf(key: DataKey): Map<string, Remembered> {
    const known = this.byKey.get(key);
    if (known) return known;
    const forgotten = this.keys[this.next]?.deref();
    if (forgotten) this.byKey.delete(forgotten);
    this.keys[this.next] = new WeakRef(key);
    this.next = (this.next + 1) % MOST_KEYS;
    const shelf = new Map<string, Remembered>();
    this.byKey.set(key, shelf);
    return shelf;
  }
}
