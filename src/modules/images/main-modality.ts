/** Defined terms of Modality (0008,0060) that stand for images. @see PS3.3 C.7.3.1.1.1 */
const IMAGES: ReadonlySet<string> = new Set(['CR', 'CT', 'DX', 'ES', 'IO', 'MG', 'MR', 'NM', 'OCT', 'OP', 'OT', 'PT', 'PX', 'RF', 'RG', 'SM', 'US', 'XA', 'XC']);

/**
 * The modality that a study is counted under.
 *
 * @param modalities  of its series, in the order in which they came
 * @returns the first that makes images; `other` where none is known: senders write what they like
 */
export function mainModality(modalities: readonly string[]): string {
  return modalities.find((modality) => IMAGES.has(modality)) ?? 'other';
}
