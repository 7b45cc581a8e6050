import { numbers } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';

/**
 * Where a slice lies along the normal of its plane, in mm; null when the instance is no plane in space.
 * @see PS3.3 C.7.6.2.1.1
 */
export function slicePositionMm(attributes: DicomJson): number | null {
  const [rx, ry, rz, cx, cy, cz] = numbers(attributes, 'ImageOrientationPatient');
  const [x, y, z] = numbers(attributes, 'ImagePositionPatient');
  if (rx === undefined || ry === undefined || rz === undefined || cx === undefined || cy === undefined || cz === undefined || x === undefined || y === undefined || z === undefined) return null;
  const position = (ry * cz - rz * cy) * x + (rz * cx - rx * cz) * y + (rx * cy - ry * cx) * z;
  return Number.isFinite(position) ? Math.round(position * 1000) / 1000 : null;
}
