import type { Language } from '../../kernel/errors.js';

/** A report as every form of it shows it: texts in the reader's language, nothing left to decide but the layout. Holds PHI. */
export interface ReportDocument {
  language: Language;
  /** Of the window and the file: what was analysed, never whom. */
  title: string;
  institution: string;
  status: { text: string; explanation: string; isFinal: boolean };
  /** Who and what it is about; the first entry is the name. */
  band: readonly { label: string; value: string }[];
  summary: { title: string; text: string; critical: string | undefined };
  /** What a reader must know before trusting it; whole sentences. */
  warnings: readonly string[];
  tables: readonly ReportTable[];
  pictures: readonly ReportPicture[];
  comparison: ReportComparison | undefined;
  /** The model and its limits, who signed. */
  notes: readonly { title: string; lines: readonly string[] }[];
  disclaimer: string;
  /** Ids and digests. */
  footer: readonly string[];
  words: ReportWords;
}

export interface ReportTable {
  title: string;
  /** `share` of the width; together 1. */
  columns: readonly { label: string; share: number }[];
  rows: readonly { cells: readonly string[]; isStrong: boolean }[];
  /** Stands in place of rows. */
  empty: string | undefined;
}

export interface ReportPicture {
  /** JPEG or PNG; null when its image is gone. */
  bytes: Uint8Array | null;
  caption: string;
}

/** What a picture is, by its first bytes. */
export function mediaTypeOf([first]: Uint8Array): 'image/png' | 'image/jpeg' {
  return first === 0x89 ? 'image/png' : 'image/jpeg';
}

/** What changed since an earlier study. */
export interface ReportComparison {
  title: string;
  lines: readonly string[];
  table?: ReportTable;
  picture?: ReportPicture;
}

/** What a layout says by itself. */
export interface ReportWords {
  /** "{count} more on the following pages". */
  more: string;
  /** "Page {page} of {pages}". */
  page: string;
  noPicture: string;
  /** How characters that the fonts lack are shown. */
  unprintable: string;
}

/** A sentence of `ReportWords` with its numbers. */
export function filled(sentence: string, numbers: Readonly<Record<string, number>>): string {
  return Object.entries(numbers).reduce((text, [name, value]) => text.replace(`{${name}}`, String(value)), sentence);
}
