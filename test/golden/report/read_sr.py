"""Reads structured reports with highdicom and prints what they say, as one JSON list.

usage: python3 read_sr.py FILE [FILE ...]
"""
import json
import sys
import warnings

import highdicom as hd
import pydicom
from highdicom.sr.templates import (
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)

warnings.simplefilter("error")


def said(group):
    region = getattr(group, "roi", None)
    segment = next((item for item in group[0].ContentSequence if item.name.value == "121191"), None)
    site = group.finding_sites[0] if group.finding_sites else None
    return {
        "trackingUid": str(group.tracking_uid),
        "tracking": group.tracking_identifier,
        "finding": group.finding_type.meaning if group.finding_type else None,
        "site": site.value.meaning if site else None,
        "side": site.laterality.meaning if site and site.laterality else None,
        "numbers": {number.name.meaning: [float(number.value), number.unit.value] for number in group.get_measurements()},
        "answers": {answer.name.meaning: answer.value.meaning for answer in group.get_qualitative_evaluations()},
        "center": next(([float(value) for value in item.GraphicData] for item in group[0].ContentSequence if item.name.value == "111010"), None),
        "region": region.value.tolist() if region is not None and isinstance(group, PlanarROIMeasurementsAndQualitativeEvaluations) else None,
        "segment": int(segment.ReferencedSOPSequence[0].ReferencedSegmentNumber) if segment is not None else None,
    }


def read(path):
    dataset = pydicom.dcmread(path)
    content = hd.sr.Comprehensive3DSR.from_dataset(dataset).content
    return {
        "patient": str(dataset.PatientName),
        "verification": dataset.VerificationFlag,
        "observers": [str(context.observer_type.meaning) for context in content.get_observer_contexts()],
        "planar": [said(group) for group in content.get_planar_roi_measurement_groups()],
        "volumetric": [said(group) for group in content.get_volumetric_roi_measurement_groups()],
        "image": [said(group) for group in content.get_image_measurement_groups()],
    }


if __name__ == "__main__":
    print(json.dumps([read(path) for path in sys.argv[1:]]))
