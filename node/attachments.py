"""Attachments of payloads: taken in, checked and given out piece by piece (SPEC 14.7).

Whoever goes on after an interruption begins with the first piece that is missing. The hash grows
as pieces come; after a restart it is made again from those that are here. An attachment is there
when its last piece has come and the hash is the one that its payload names.
"""

import secrets
from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final

from ledger.crypto import NONCE_BYTES, decrypt, encrypt
from ledger.encoding import b64url
from ledger.errors import BusyError, ConflictError, NotFoundError, ProofError
from ledger.records.payloads import Attachment, attachment_of
from node.vault import Attached, Vault

if TYPE_CHECKING:
    from hashlib import _Hash

MAX_GROWING: Final = 64
"""Attachments whose hash is kept while they grow; of others it is made again."""


class Attachments:
    """The attachments in one vault. From any thread."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = Lock()
        self._growing: OrderedDict[str, tuple[int, _Hash]] = OrderedDict()

    def have(self, commit: str) -> tuple[int, int]:
        """How many pieces are here, and of how many. Raises as `Vault.attached`."""
        attached = self._vault.attached(commit)
        return self._vault.chunks.count(commit), attached.chunks

    def take(self, commit: str, number: int, data: bytes) -> tuple[int, int]:
        """Keep the next piece; gives what `have` gives then. The same again is harmless.

        Raises `ConflictError` (T14) for another one, `ProofError` (T12) when the last one has come
        and the whole is not what the payload names; then nothing of it is kept. Else as
        `Vault.attached`.
        """
        attached = self._vault.attached(commit)
        named = self._named(commit)
        with self._lock:
            have = self._vault.chunks.count(commit)
            if number < have and len(data) == named.length(number):
                return have, attached.chunks
            if number != have or len(data) != named.length(number) or not data:
                raise ConflictError(
                    "T14", commit=commit, number=number, have=have, count=attached.chunks
                )
            grown = self._grown(attached, commit, number)
            body = encrypt(
                attached.key, secrets.token_bytes(NONCE_BYTES), data, _place(attached, number)
            )
            self._vault.chunks.add(commit, number, body)
            grown.update(data)
            self._keep(commit, number + 1, grown)
            if number + 1 == attached.chunks:
                self._finish(commit, grown, named)
        return number + 1, attached.chunks

    def _finish(self, commit: str, grown: "_Hash", named: Attachment) -> None:
        self._growing.pop(commit, None)
        if b64url(grown.digest()) != named.sha256:
            self._vault.chunks.drop([commit])
            raise ProofError("T12", commit=commit)
        self._vault.complete(commit)

    def _grown(self, attached: Attached, commit: str, number: int) -> "_Hash":
        """The hash of the pieces before this one."""
        known = self._growing.get(commit)
        if known is not None and known[0] == number:
            return known[1]
        grown = sha256()
        for before in range(number):
            grown.update(self._open(attached, commit, before))
        return grown

    def _keep(self, commit: str, number: int, grown: "_Hash") -> None:
        self._growing[commit] = number, grown
        self._growing.move_to_end(commit)
        while len(self._growing) > MAX_GROWING:
            self._growing.popitem(last=False)

    def give(self, commit: str, number: int) -> bytes:
        """A piece in clear. Raises `BusyError` (T13) before all of it is here, `NotFoundError`
        (O6) for a number that it does not have, `ProofError` (T6.data) for changed bytes, else as
        `Vault.attached`.
        """
        attached = self._vault.attached(commit)
        if not attached.complete:
            have = self._vault.chunks.count(commit)
            raise BusyError("T13", commit=commit, have=have, count=attached.chunks)
        if number >= attached.chunks:
            raise NotFoundError("O6", what="piece", name=str(number))
        return self._open(attached, commit, number)

    def _open(self, attached: Attached, commit: str, number: int) -> bytes:
        body = self._vault.chunks.get(commit, number)
        if body is None:
            raise ProofError("T6.data")
        return decrypt(attached.key, body, _place(attached, number))

    def _named(self, commit: str) -> Attachment:
        named = attachment_of(self._vault.read(commit).payload)
        if named is None:
            raise NotFoundError("T15", commit=commit)
        return named


def _place(attached: Attached, number: int) -> bytes:
    """What a piece is bound to: its payload, its number, and whether it is the last."""
    final = b"\x01" if number + 1 == attached.chunks else b"\x00"
    return attached.holding.commit.encode() + number.to_bytes(4, "big") + final
