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
}

/** Keys are tags: eight upper-case hexadecimal digits. */
export interface DicomJson {
  [tag: string]: DicomJsonElement;
}
