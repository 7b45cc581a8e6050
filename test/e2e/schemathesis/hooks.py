"""How Schemathesis writes the bodies that it has no serializer for. Loaded by SCHEMATHESIS_HOOKS."""

import json

import schemathesis


def _bytes(value) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return json.dumps(value, default=str).encode()


@schemathesis.serializer("multipart/related")
def related(ctx, value):
    # One part of whatever was generated; without a boundary in the header it is a malformed body, which must be refused too.
    return b"--x\r\nContent-Type: application/dicom\r\n\r\n" + _bytes(value) + b"\r\n--x--\r\n"


@schemathesis.serializer("application/dicom", "application/offset+octet-stream")
def stream(ctx, value):
    return _bytes(value)
