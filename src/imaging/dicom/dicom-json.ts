/** The DICOM JSON model. @see PS3.18 Annex F */
export interface PersonName {
  Alphabetic?: string;
  Ideographic?: string;
  Phonetic?: string;
}

export type DicomJsonValue = string | number | PersonName | DicomJson | null;

export interface DicomJsonElement {
  vr: string;
  Value?: DicomJsonValue[];
  /** Base64, little endian. */
  InlineBinary?: string;
  /** Where a value lies that was left out. */
  BulkDataURI?: string;
}

/** Keys are tags: eight upper-case hexadecimal digits. */
// An interface, since a type alias may not refer to itself through a Record.
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style
export interface DicomJson {
  [tag: string]: DicomJsonElement;
}
