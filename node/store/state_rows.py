"""The rule state on disk: the changes of a few blocks at a time, newest last; the map itself lives
in memory.
"""

import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

from ledger.errors import StorageError
from ledger.records.envelope import ENCODE, Shape
from ledger.rules import VALUES

_DECODERS: Final[dict[bytes, msgspec.json.Decoder[Shape]]] = {
    namespace.encode(): msgspec.json.Decoder(form) for namespace, form in VALUES.items()
}
_PAIRS: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])


def encode_delta(changes: Mapping[bytes, Shape]) -> bytes:
    """Keys and values, compressed."""
    pairs = [(key, ENCODE(value)) for key, value in changes.items()]
    return zlib.compress(msgspec.msgpack.encode(pairs), 1)


def decode_delta(data: bytes, height: int) -> dict[bytes, Shape]:
    """The changes again. Raises `StorageError` (O2.corrupt)."""
    try:
        pairs = _PAIRS.decode(zlib.decompress(data))
        return {key: _DECODERS[key.partition(b"\0")[0]].decode(value) for key, value in pairs}
    except (zlib.error, msgspec.DecodeError, KeyError, UnicodeDecodeError):
        raise StorageError("O2.corrupt", what="state_delta", height=height) from None
