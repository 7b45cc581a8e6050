"""Reads pairs of files (original, rewritten) with pydicom and GDCM and prints what differs, as JSON lists by pair.

usage: python3 compare_rewritten.py ORIGINAL REWRITTEN [ORIGINAL REWRITTEN ...]
Elements are compared by tag, value representation and value, nested ones too; pixels when the original's coding is lossless.
"""
import json
import sys
import warnings

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence

warnings.simplefilter("ignore")
# What describes the pixels may change with their coding.
PIXEL_TAGS = {0x00280004, 0x00280006, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00282110, 0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00010}
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.91"}


def differences(before, after, path=""):
    tags = {int(tag) for tag in before.keys()} | {int(tag) for tag in after.keys()}
    for tag in sorted(tags):
        if tag & 0xFFFF == 0 or (path == "" and tag in PIXEL_TAGS):
            continue
        name = f"{path}{tag:08X}"
        if tag not in before or tag not in after:
            yield f"{name} {'added' if tag in after else 'lost'}"
            continue
        one, other = before[tag], after[tag]
        if isinstance(one.value, Sequence) and isinstance(other.value, Sequence):
            if len(one.value) != len(other.value):
                yield f"{name} has {len(one.value)} items, then {len(other.value)}"
            for index, (a, b) in enumerate(zip(one.value, other.value)):
                yield from differences(a, b, f"{name}/{index}/")
        elif one.VR != other.VR and not (before.is_implicit_VR and ambiguous(tag)):
            yield f"{name} was {one.VR}, is {other.VR}"
        elif comparable(one, before) != comparable(other, after):
            yield f"{name} has another value"


def comparable(element, dataset):
    """pydicom leaves the byte order of binary values alone."""
    value = element.value
    unit = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR)
    if unit and isinstance(value, bytes) and not dataset.is_little_endian:
        return np.frombuffer(value, f">u{unit}").astype(f"<u{unit}").tobytes()
    return str(value) if isinstance(value, float) else value


def ambiguous(tag):
    try:
        return " or " in dictionary_VR(tag)
    except KeyError:
        return False


def pixels(dataset):
    array = dataset.pixel_array
    # pydicom converts nothing, so what is named YBR is YBR.
    return array


for original, rewritten in zip(sys.argv[1::2], sys.argv[2::2]):
    before, after = pydicom.dcmread(original, force=True), pydicom.dcmread(rewritten)
    found = list(differences(before, after))
    if "PixelData" in before and str(getattr(before.file_meta, "TransferSyntaxUID", "")) not in LOSSY:
        try:
            was = pixels(before)
        except Exception as error:  # what pydicom cannot read, it cannot compare
            was = None
            found.append(f"unread: {type(error).__name__}")
        if was is not None and not np.array_equal(was, pixels(after)):
            found.append("pixels differ")
    print(json.dumps(found))
