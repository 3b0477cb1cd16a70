"""How the client and the box speak: frames of one fixed form over a Unix socket. Pure: numpy and the standard
library.

A frame is 4 bytes (the header's length, little-endian), a header (JSON: the frame's `kind`, plain values, and
the names, types and shapes of arrays) and the arrays' bytes, one after the other. Nothing in it is code, and
nothing is decoded before its size is known and bounded: the other side of the client's end is hostile.
"""

import json
import math
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

CODE, MODEL, SOCKET = "code", "model", "socket"
"""In the folder that a box shares with who started it: the job's files, a model that is to predict, and where
the other side listens.
"""
HISTOGRAMS_KEY = "score_histograms"
"""Key of `FLModel.meta`, and of an answer: there a job may send `{name: [counts]}` next to its weights."""
PATIENT_CHANGE = "patient_change"
"""Key there under which a job's code may state by how much one patient, replaced by another, changes its
update at most (L2 norm): for hospitals whose privacy budget protects single patients.
"""
TYPES = ("|i1", "|u1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8")
"""Types of numbers, as numpy writes them."""
LARGEST_HEADER = 512 * 1024
LARGEST_ARRAYS = 512 * 1024 * 1024
"""Bytes of all arrays of a frame."""
MOST_ARRAYS = 2000
MOST_DIMENSIONS = 8
LONGEST_NAME = 200
LOOK_SECONDS = 0.2
"""How often it is looked whether to go on waiting."""
_Described = tuple[str, np.dtype[Any], list[int], int]
"""Name, type, shape and number of numbers of an array."""
_NAME = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_NAME}}}")
_LENGTH = struct.Struct("<I")


class ChannelError(Exception):
    """A frame that is not taken: what is wrong with it. Nothing that follows on the connection is read."""


@final
class ClosedError(ChannelError):
    """The other side has gone."""


@final
class LateError(ChannelError):
    """No whole frame in the time that there was."""


@final
@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message: `values` are plain JSON, `arrays` are name -> numbers."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def listening(path: Path, seconds: float) -> socket.socket:
    """A socket at which a box may connect, whose user is in the group of who listens.

    `seconds` is how long its `accept` waits.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o660)
    listener.listen(1)
    listener.settimeout(seconds)
    return listener


def send(connection: socket.socket, frame: Frame, seconds: float) -> None:
    """Send a frame. Raises ChannelError for what the other side would not take, ClosedError and LateError."""
    arrays = {name: _plain(name, array) for name, array in frame.arrays.items()}
    described = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    try:
        content = {"kind": frame.kind, "values": dict(frame.values), "arrays": described}
        header = json.dumps(content, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ChannelError(f"a value is no plain JSON: {error}") from error
    if len(header) > LARGEST_HEADER or sum(array.nbytes for array in arrays.values()) > LARGEST_ARRAYS:
        raise ChannelError("the message is too large")
    connection.settimeout(seconds)
    try:
        connection.sendall(_LENGTH.pack(len(header)) + header)
        for array in arrays.values():
            connection.sendall(array.reshape(-1).view(np.uint8).data)
    except TimeoutError as error:
        raise LateError("the other side does not read") from error
    except OSError as error:
        raise ClosedError("the other side has gone") from error


def receive(
    connection: socket.socket,
    seconds: float,
    stop: Callable[[], bool] = lambda: False,
    largest: int = LARGEST_ARRAYS,
) -> Frame:
    """The next frame, whole within so many seconds, with at most `largest` bytes of arrays.

    Raises ChannelError for anything but a frame, ClosedError, LateError; the latter also once `stop` says so.
    """
    reading = _Reading(connection, time.monotonic() + seconds, stop)
    (length,) = _LENGTH.unpack(reading.take(_LENGTH.size))
    if length > LARGEST_HEADER:
        raise ChannelError("a header is too large")
    kind, values, described = _header(bytes(reading.take(length)), largest)
    return Frame(
        kind=kind,
        values=values,
        arrays={
            name: np.frombuffer(reading.take(count * kept.itemsize), kept).reshape(shape)
            for name, kept, shape, count in described
        },
    )


@final
class _Reading:
    """Bytes from a connection, up to a moment."""

    def __init__(self, connection: socket.socket, until: float, stop: Callable[[], bool]):
        self._connection = connection
        self._until = until
        self._stop = stop

    def take(self, count: int) -> bytearray:
        """So many bytes, no more."""
        taken = bytearray(count)
        view, at = memoryview(taken), 0
        while at < count:
            self._connection.settimeout(self._patience())
            try:
                got = self._connection.recv_into(view[at:])
            except TimeoutError:
                continue
            except OSError as error:
                raise ClosedError("the other side has gone") from error
            if not got:
                raise ClosedError("the other side has gone")
            at += got
        return taken

    def _patience(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0 or self._stop():
            raise LateError("no whole message in time")
        return min(left, LOOK_SECONDS)


def _header(content: bytes, largest: int) -> tuple[str, dict[str, Any], list[_Described]]:
    try:
        header = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ChannelError("a header is not JSON with finite numbers") from error
    if not isinstance(header, dict) or set(header) != {"kind", "values", "arrays"}:
        raise ChannelError("a header has other keys than kind, values and arrays")
    kind, values, arrays = header["kind"], header["values"], header["arrays"]
    if not isinstance(kind, str) or not isinstance(values, dict) or not isinstance(arrays, list):
        raise ChannelError("a header's parts have other types")
    if len(arrays) > MOST_ARRAYS:
        raise ChannelError(f"more than {MOST_ARRAYS} arrays")
    described = [_description(array) for array in arrays]
    if len({name for name, _, _, _ in described}) != len(described):
        raise ChannelError("an array is there twice")
    if sum(count * kept.itemsize for _, kept, _, count in described) > largest:
        raise ChannelError("the arrays are too large")
    return kind, values, described


def _description(array: Any) -> _Described:
    if not isinstance(array, list) or len(array) != 3:
        raise ChannelError("an array is described by its name, type and shape")
    name, kept, shape = array
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ChannelError("an array's name is not plain")
    if kept not in TYPES:
        raise ChannelError("an array's type is none of " + ", ".join(TYPES))
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise ChannelError(f"an array's shape is no list of at most {MOST_DIMENSIONS} lengths")
    if not all(type(length) is int and 0 <= length <= LARGEST_ARRAYS for length in shape):
        raise ChannelError("an array's shape has a length that is none")
    if math.prod(length or 1 for length in shape) > LARGEST_ARRAYS:  # numpy has no such array, empty or not
        raise ChannelError("an array's shape is too large")
    return name, np.dtype(kept), shape, math.prod(shape)


def _plain(name: str, array: Any) -> NDArray[Any]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ChannelError(f"a parameter's name is not plain: {str(name)[:40]!r}")
    plain = np.ascontiguousarray(array).reshape(np.shape(array))
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    if plain.dtype.str not in TYPES or plain.ndim > MOST_DIMENSIONS:
        raise ChannelError(f"the parameter {name[:40]!r} is no array of numbers ({plain.dtype})")
    return plain


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not finite")
