/** SOP Classes of what is said about images: segmentations and structured reports. @see PS3.4 B.5 */
export const RESULT_CLASSES: readonly string[] = [
  // Segmentation, Surface Segmentation, Label Map Segmentation, Height Map Segmentation
  '1.2.840.10008.5.1.4.1.1.66.4', '1.2.840.10008.5.1.4.1.1.66.5', '1.2.840.10008.5.1.4.1.1.66.7', '1.2.840.10008.5.1.4.1.1.66.8',
  // Text SR, Audio SR, Detail SR and Comprehensive SR, all for trial use only
  '1.2.840.10008.5.1.4.1.1.88.1', '1.2.840.10008.5.1.4.1.1.88.2', '1.2.840.10008.5.1.4.1.1.88.3', '1.2.840.10008.5.1.4.1.1.88.4',
  // Basic Text, Enhanced, Comprehensive, Comprehensive 3D, Extensible SR
  '1.2.840.10008.5.1.4.1.1.88.11', '1.2.840.10008.5.1.4.1.1.88.22', '1.2.840.10008.5.1.4.1.1.88.33', '1.2.840.10008.5.1.4.1.1.88.34', '1.2.840.10008.5.1.4.1.1.88.35',
  // Procedure Log, Mammography CAD, Key Object Selection, Chest CAD, Colon CAD
  '1.2.840.10008.5.1.4.1.1.88.40', '1.2.840.10008.5.1.4.1.1.88.50', '1.2.840.10008.5.1.4.1.1.88.59', '1.2.840.10008.5.1.4.1.1.88.65', '1.2.840.10008.5.1.4.1.1.88.69',
  // Dose reports and what else is a structured report
  '1.2.840.10008.5.1.4.1.1.88.67', '1.2.840.10008.5.1.4.1.1.88.68', '1.2.840.10008.5.1.4.1.1.88.70', '1.2.840.10008.5.1.4.1.1.88.71', '1.2.840.10008.5.1.4.1.1.88.72',
  '1.2.840.10008.5.1.4.1.1.88.73', '1.2.840.10008.5.1.4.1.1.88.74', '1.2.840.10008.5.1.4.1.1.88.75', '1.2.840.10008.5.1.4.1.1.88.76',
];

const CLASSES: ReadonlySet<string> = new Set(RESULT_CLASSES);

/** Whether an object says something about images: it is never input of an analysis, whoever made it. */
export function isResultClass(sopClassUid: string): boolean {
  return CLASSES.has(sopClassUid);
}
