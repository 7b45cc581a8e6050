"""The two real chest CTs (LIDC-IDRI, CC BY 3.0), their marks, and the lungs in them. Arrays are [x, y, z] in LPS order, millimetres are LPS."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

TRAIN_SCAN, TEST_SCAN = 'LIDC-IDRI-0002', 'LIDC-IDRI-0001'
XML = {'LIDC-IDRI-0001': 'LIDC-IDRI-0001_69.xml', 'LIDC-IDRI-0002': 'LIDC-IDRI-0002_71.xml'}
NS = '{http://www.nih.gov}'
# A nodule counts when this many of the four radiologists outlined it, as in LUNA16.
CONSENSUS = 3


@dataclass
class Mark:
    """Something radiologists marked: centre (mm, LPS), size along x, y, z (mm), how many outlined it as a nodule of 3 mm or more."""

    centre: np.ndarray
    size: np.ndarray
    readers: int


@dataclass
class Scan:
    """hu int16 [x, y, z]; spacing and origin in mm; marks of all readers."""

    name: str
    hu: np.ndarray
    spacing: np.ndarray
    origin: np.ndarray
    marks: list[Mark] = field(default_factory=list)

    def index(self, mm: np.ndarray) -> np.ndarray:
        """LPS millimetres as index coordinates."""
        return (np.asarray(mm, float) - self.origin) / self.spacing


def data_folder(given: str | None) -> Path:
    """--data, else HEALTHVISION_TEST_DATA, else ../shared/data beside the repository."""
    folder = given or os.environ.get('HEALTHVISION_TEST_DATA') or Path(__file__).resolve().parents[4] / 'shared' / 'data'
    return Path(folder)


def load(data: Path, name: str) -> Scan:
    """Reads the DICOM slices and the XML of a patient."""
    root = data / 'ct' / name
    folder = next(Path(at) for at, _, files in os.walk(root) if any(f.endswith('.dcm') for f in files))
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    assert np.allclose(image.GetDirection(), np.eye(3).ravel()), 'The slices are not axial'
    hu = np.clip(sitk.GetArrayFromImage(image), -1024, 3071).astype(np.int16).transpose(2, 1, 0)
    scan = Scan(name, np.ascontiguousarray(hu), np.array(image.GetSpacing()), np.array(image.GetOrigin()))
    scan.marks = read_marks(data / 'ct' / XML[name], scan)
    return scan


def read_marks(path: Path, scan: Scan) -> list[Mark]:
    """Outlines, dots and non-nodules of the XML, those that touch joined into one mark. Pixel coordinates of LIDC count from 0."""
    found: list[tuple[int, np.ndarray, np.ndarray, bool]] = []
    for reader, session in enumerate(ElementTree.parse(path).getroot().iter(f'{NS}readingSession')):
        for item in [*session.iter(f'{NS}unblindedReadNodule'), *session.iter(f'{NS}nonNodule')]:
            points = []
            for roi in ([item] if item.tag == f'{NS}nonNodule' else item.iter(f'{NS}roi')):
                z = float(roi.findtext(f'{NS}imageZposition', '0'))
                for x, y in zip(roi.iter(f'{NS}xCoord'), roi.iter(f'{NS}yCoord')):
                    points.append((scan.origin[0] + int(x.text or 0) * scan.spacing[0], scan.origin[1] + int(y.text or 0) * scan.spacing[1], z))
            outline = item.tag != f'{NS}nonNodule' and len(points) > 1
            array = np.array(points)
            low, high = array.min(0), array.max(0)
            if outline:
                # The outline runs through the first pixels outside; in z a slice reaches half a step to both sides.
                low[2], high[2] = low[2] - scan.spacing[2] / 2, high[2] + scan.spacing[2] / 2
            found.append((reader, low, high, outline))
    marks: list[Mark] = []
    left = list(found)
    while left:
        group = [left.pop(0)]
        grown = True
        while grown:
            near = [m for m in left if any(np.all(m[1] - 2 <= g[2]) and np.all(g[1] - 2 <= m[2]) for g in group)]
            left = [m for m in left if not any(m is n for n in near)]
            group += near
            grown = bool(near)
        readers = len({g[0] for g in group if g[3]})
        chosen = [g for g in group if g[3]] or group
        size = np.mean([g[2] - g[1] for g in chosen], 0)
        marks.append(Mark(np.mean([(g[1] + g[2]) / 2 for g in chosen], 0), np.maximum(size, 2.0), readers))
    return marks


def lung_depth(scan: Scan) -> np.ndarray:
    """Depth in the lungs in tenths of mm, int16 [x, y, z]: positive inside (vessels count as lung), negative outside."""
    step = 2
    air = ndimage.uniform_filter(scan.hu[::step, ::step, :].astype(np.float32), 3) < -450
    labels, _ = ndimage.label(air)
    border = np.unique(np.concatenate([labels[0].ravel(), labels[-1].ravel(), labels[:, 0].ravel(), labels[:, -1].ravel()]))
    sizes = np.bincount(labels.ravel())
    sizes[border] = 0
    sizes[0] = 0
    lungs = np.isin(labels, np.flatnonzero(sizes > 0.05 * sizes.max()))
    sampling = scan.spacing * [step, step, 1]
    near = ndimage.distance_transform_edt(~lungs, sampling=sampling) <= 8
    closed = ndimage.distance_transform_edt(near, sampling=sampling) > 8
    depth = ndimage.distance_transform_edt(closed, sampling=sampling) - ndimage.distance_transform_edt(~closed, sampling=sampling)
    full = np.repeat(np.repeat(np.clip(depth * 10, -3000, 3000).astype(np.int16), step, 0), step, 1)
    return full[: scan.hu.shape[0], : scan.hu.shape[1]]
