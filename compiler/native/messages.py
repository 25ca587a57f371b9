"""Messages between the compiler and its worker: a header in JSON, then bytes.

This file is imported on both sides, and by the worker without the rest of imcc.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_LENGTHS = struct.Struct("<QQ")


def send(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(body)) + text)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one message; raises `EOFError` where the stream ends."""
    text, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    header: dict[str, Any] = json.loads(_exactly(stream, text))
    return header, _exactly(stream, body)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the other side has ended")
    return data
