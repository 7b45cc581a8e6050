"""Writes golden.json: what pydicom and GDCM make of the pydicom test files.

Run once:  python3 make_golden.py <folder with the files> > golden.json
Made with pydicom 2.3.1 and GDCM 3.0.21 (Debian python3-pydicom, python3-gdcm), an implementation apart from ours.

Exact decoders must agree to the bit (sha256 of the little-endian array). Lossy ones, and colours converted from YCbCr, may
differ by rounding: for those a sample of the values is kept and compared with a tolerance.
"""
import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixel_data_handlers.util import convert_color_space

warnings.simplefilter("ignore")

# What the product answers instead of pixels, and why it is right to.
REFUSED = {
    "MR_truncated.dcm": "truncated-file",
    "rtplan_truncated.dcm": "truncated-file",
    "badVR.dcm": "invalid-pixel-data",  # NumberOfFrames is "1A"
    "chrSQEncoding.dcm": "missing-sop-class",
    "chrSQEncoding1.dcm": "missing-sop-class",
    "meta_missing_tsyntax.dcm": "missing-sop-class",
    "nested_priv_SQ.dcm": "missing-sop-class",
    "no_meta_group_length.dcm": "missing-sop-class",
    "no_meta.dcm": "not-dicom",  # one stray byte before the data set
    "chrKoreanMulti.dcm": "no-pixel-data",
    "reportsi.dcm": "no-pixel-data",
    "reportsi_with_empty_number_tags.dcm": "no-pixel-data",
    "rtstruct.dcm": "no-pixel-data",
    "waveform_ecg.dcm": "no-pixel-data",
}
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
# Says RGB and is subsampled YCbCr without any marker; shown as RGB it is plainly wrong (the first bar is red).
MISLABELLED_YBR = {"SC_rgb_jpeg_lossy_gdcm.dcm"}
SAMPLES = 400


def pixels_of(path: Path, dataset: pydicom.Dataset) -> dict:
    array = dataset.pixel_array
    photometric = dataset.PhotometricInterpretation
    converted = photometric in ("YBR_FULL", "YBR_FULL_422") or path.name in MISLABELLED_YBR
    if converted:
        array = convert_color_space(array, "YBR_FULL", "RGB")
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    out = {"shape": list(array.shape), "dtype": array.dtype.name}
    if converted or dataset.file_meta.TransferSyntaxUID in LOSSY:
        flat = array.reshape(-1)
        step = max(1, flat.size // SAMPLES)
        return {**out, "step": step, "samples": [int(value) for value in flat[::step]]}
    return {**out, "sha256": hashlib.sha256(array.tobytes()).hexdigest()}


def names_of(dataset: pydicom.Dataset) -> dict:
    name = dataset.get("PatientName")
    if name is None or str(name) == "":
        return {}
    parts = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.components))
    return {"patientName": {key: value.rstrip() for key, value in parts.items() if value}}


def main() -> None:
    golden = {}
    for path in sorted(Path(sys.argv[1]).glob("*.dcm")):
        if path.name in REFUSED:
            golden[path.name] = {"refused": REFUSED[path.name]}
            if REFUSED[path.name] != "no-pixel-data":
                continue
        dataset = pydicom.dcmread(path, force=True)
        entry = golden.setdefault(path.name, {})
        if "refused" not in entry:
            entry.update(pixels_of(path, dataset))
        entry.update(names_of(dataset))
    # One line a file keeps the differences of two runs readable.
    lines = (f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in golden.items())
    print("{\n" + ",\n".join(lines) + "\n}")


main()
