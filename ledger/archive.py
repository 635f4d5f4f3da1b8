"""The one form of a zip file that a dossier has (SPEC 9.7): files in a row, stored, in the order of
their names, without times, comments or anything else.

Every tool opens it. It is not compressed: the bytes then depend on no version of a compressor, and
nothing in it can be larger than it is. A decoder that takes only what its own encoder makes needs
no list of tricks: paths twice, links, encrypted members, hidden bytes are all of another form.
"""

from collections.abc import Mapping
from struct import Struct, error
from typing import Final
from zlib import crc32

from ledger.errors import MalformedError

_LOCAL: Final = Struct("<4s5H3I2H")
_CENTRAL: Final = Struct("<4s6H3I5H2I")
_END: Final = Struct("<4s4H2IH")
_VERSION: Final = 20
_UNIX: Final = 3 << 8 | _VERSION
_PLAIN_FILE: Final = 0o100644 << 16
MAX_FILES: Final = 65_535
"""As many as the end of an archive can say."""
_NEW_YEAR_1980: Final = 1 << 5 | 1
"""The first date that a zip file can hold."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files, at most `MAX_FILES` of less than 2^32 bytes in all; their names
    are ASCII.
    """
    parts: list[bytes] = []
    directory: list[bytes] = []
    at = 0
    for name, data in sorted(files.items()):
        raw, size = name.encode("ascii"), len(data)
        told = (0, 0, 0, _NEW_YEAR_1980, crc32(data), size, size, len(raw), 0)
        head = _LOCAL.pack(b"PK\x03\x04", _VERSION, *told) + raw
        rest = (0, 0, 0, _PLAIN_FILE, at)
        directory.append(_CENTRAL.pack(b"PK\x01\x02", _UNIX, _VERSION, *told, *rest) + raw)
        parts += [head, data]
        at += len(head) + size
    listed = b"".join(directory)
    count = len(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(listed), at, 0)
    return b"".join((*parts, listed, end))


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of an archive. Raises `MalformedError` (V35) for every other form than that of
    `pack`.
    """
    files: dict[str, bytes] = {}
    at = 0
    try:
        while data.startswith(b"PK\x03\x04", at):
            *_head, size, length, _extra = _LOCAL.unpack_from(data, at)
            start = at + _LOCAL.size + length
            files[data[at + _LOCAL.size : start].decode("ascii")] = data[start : start + size]
            at = start + size
            if len(files) > MAX_FILES:
                raise MalformedError("V35")
    except (error, UnicodeDecodeError):
        raise MalformedError("V35") from None
    if pack(files) != data:
        raise MalformedError("V35")
    return files
