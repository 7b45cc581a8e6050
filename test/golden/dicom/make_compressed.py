"""Writes compressed.json: small phantoms in every compressed form that DCMTK and GDCM can write.

Run once:  python3 make_compressed.py > compressed.json
Made with pydicom 2.3.1, DCMTK 3.6.7 (dcmcjpeg, dcmcjpls, dcmcrle) and GDCM 3.0.21 (gdcmconv). The spec makes the same
phantoms from the same formulas and compares.
"""
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset

ROWS, COLUMNS = 12, 17
y, x = np.mgrid[0:ROWS, 0:COLUMNS]
PHANTOMS = {
    "grey8": (40 + 10 * x + 4 * y + (x * y) % 3).astype("<u1"),
    "grey12": (100 + 150 * x + 90 * y + (x * y) % 7).astype("<u2"),
    "signed16": (-1000 + 150 * x + 90 * y + (x * y) % 7).astype("<i2"),
    "colour": np.stack([40 + 10 * x, 250 - 15 * y, 10 + (x * y) % 200], axis=-1).astype("<u1"),
}
LOSSLESS_JPEG = {f"predictor{n}": ["dcmcjpeg", "+el", "+sv", str(n)] for n in range(1, 8)}
JPEG_LS = {f"{name}": ["dcmcjpls", "+el", flag] for name, flag in (("by-line", "+il"), ("by-sample", "+is"), ("by-plane", "+in"))}
TOOLS = {
    "grey8": {"rle": ["dcmcrle"], "baseline": ["dcmcjpeg", "+eb", "+q", "100", "+sr"], **LOSSLESS_JPEG, **JPEG_LS, "j2k": ["gdcmconv", "--j2k"]},
    "grey12": {"rle": ["dcmcrle"], "extended": ["dcmcjpeg", "+ee", "+q", "100", "+sr"], "sv1": ["dcmcjpeg", "+e1"], **JPEG_LS, "near": ["dcmcjpls", "+en", "+md", "2"], "j2k": ["gdcmconv", "--j2k"]},
    "signed16": {"rle": ["dcmcrle"], "sv1": ["dcmcjpeg", "+e1"], **JPEG_LS, "j2k": ["gdcmconv", "--j2k"]},
    "colour": {"rle": ["dcmcrle"], "baseline-444": ["dcmcjpeg", "+eb", "+q", "100", "+s4"], "baseline-rgb": ["dcmcjpeg", "+eb", "+q", "100", "+cr"], "sv1": ["dcmcjpeg", "+e1"], **JPEG_LS, "j2k": ["gdcmconv", "--j2k"]},
}


def write_native(path: Path, name: str, array: np.ndarray) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel = 3 if name == "colour" else 1
    dataset.PhotometricInterpretation = "RGB" if name == "colour" else "MONOCHROME2"
    if name == "colour":
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = array.dtype.itemsize * 8
    dataset.BitsStored = 12 if name == "grey12" else dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 1 if name == "signed16" else 0
    dataset.PixelData = array.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.save_as(path, write_like_original=False)


def main() -> None:
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in PHANTOMS.items():
            native = Path(folder) / f"{name}.dcm"
            write_native(native, name, array)
            for form, command in TOOLS[name].items():
                target = Path(folder) / f"{name}-{form}.dcm"
                done = subprocess.run([*command, str(native), str(target)], capture_output=True, text=True)
                if done.returncode != 0 or not target.exists():
                    print(f"{name} {form}: {done.stderr.strip()}", file=sys.stderr)
                    continue
                out[f"{name} {form}"] = base64.b64encode(target.read_bytes()).decode()
    print(json.dumps(out, indent=0))


main()
