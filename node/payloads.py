"""The routes of payloads: into the vault, and out of it to whom they are for (SPEC 14.3).

The same for people, on the node's own address, and for the nodes of other members, on theirs.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ledger.encoding import b64url
from ledger.errors import BusyError, ForbiddenError, NotFoundError
from ledger.records.envelope import ENCODE
from ledger.records.payloads import (
    Deposit,
    commit_of,
    decode_deposit,
    encode_deposit,
    reference,
)
from node.attachments import Attachments
from node.client import DEPOSIT_TYPE
from node.clock import wall_ms
from node.forms import BYTES_TYPE, AttachmentState
from node.identity import Identity
from node.policy import check_deposit, check_release
from node.readings import Why
from node.vault import Holding, Opened, Reading, Vault

OnChain = Callable[[str, Identity, Why], Awaitable[None]]
"""Returns when the reading of a payload by somebody is on the chain, and raises when it is not."""

READING_S: Final = 900.0
"""So long after its record one reading of an attachment may take; what comes later is another."""
MAX_BEGUN: Final = 4_096


class Payloads:
    """What may be done with the payloads of one node."""

    def __init__(self, vault: Vault, org: str, on_chain: OnChain) -> None:
        self.vault = vault
        self.org = org
        self._on_chain = on_chain
        self.names: re.Pattern[str] | None = None
        """People who are not to be named in texts for all members."""
        self.attachments = Attachments(vault)
        self._begun: OrderedDict[tuple[str, str, Why], float] = OrderedDict()
        """Readings of attachments that are on the chain, and until when they go on."""
        self.want: Callable[[str], None] = lambda _commit: None
        """Has an attachment brought from another holder."""
        self.fetch: Callable[[str], bool] = lambda _commit: False
        """Brings a payload from another holder; says whether it is here now."""
        self.catch_up: Callable[[], object] = lambda: None
        """Takes in what the newest final blocks name and what they say was erased."""

    def put(self, body: bytes, author: Identity) -> Response:
        """Keep a payload; the answer is how a record names it.

        Raises `MalformedError` (S1, S2, T1), `TooLargeError` (T1.large), `RefusedError` (T7, T8),
        `ErasedError` (T4), or `NotFoundError` (T3) for one that another node brings and the chain
        does not name.
        """
        deposit = decode_deposit(body)
        check_deposit(deposit, self.org, self.names)
        if author.role == "node" and author.org != self.org:
            self._check_named(deposit)
        self.vault.put(deposit, _depositor(author), wall_ms())
        return Response(ENCODE(reference(deposit)), 201, None, "application/json")

    def _check_named(self, deposit: Deposit) -> None:
        commit = commit_of(deposit)
        self.catch_up()
        if not any(self.org in named.holders for named in self.vault.named(commit)):
            raise NotFoundError("T3", commit=commit)

    async def get(self, commit: str, author: Identity, why: Why) -> Response:
        """Release a payload; a T2 payload after its reading is on the chain.

        Raises `NotFoundError` (T3), `ErasedError` (T4), `ForbiddenError` (T5), and what
        `Readings.record` and `Vault.read` raise.
        """
        holding = await run_in_threadpool(self._allowed, commit, author)
        if holding.tier == "T2":
            await self._put_on_record(holding, author, why)
        return await run_in_threadpool(self._release, commit)

    def _release(self, commit: str) -> Response:
        body = encode_deposit(deposit_of(self.vault.read(commit)))
        return Response(body, 200, {"Cache-Control": "no-store"}, DEPOSIT_TYPE)

    def _allowed(self, commit: str, author: Identity) -> Holding:
        """What is asked for, if this author may have it; who and whether is noted. The answer
        rests on this node's chain, not on how far of it the vault happened to have been told.
        """
        self.catch_up()
        holding = self._holding(commit, author)
        try:
            check_release(author, holding, self.org)
        except ForbiddenError:
            self._note(holding, author, "denied")
            raise
        return holding

    # --- attachments ------------------------------------------------------------------------------

    async def put_chunk(self, commit: str, number: int, data: bytes, author: Identity) -> Response:
        """Take the next piece of an attachment, from whoever deposited the payload or the node of
        another holder that the chain names.

        Raises `ForbiddenError` (T16) and what `Attachments.take` raises.
        """
        have, count = await run_in_threadpool(self._take, commit, number, data, author)
        return Response(ENCODE({"count": count, "have": have}), 200, None, "application/json")

    def _take(self, commit: str, number: int, data: bytes, author: Identity) -> tuple[int, int]:
        holding = self.vault.holding(commit)
        is_holder = author.role == "node" and author.org in holding.holders
        if not is_holder and author.key != holding.depositor:
            raise ForbiddenError("T16", commit=commit)
        return self.attachments.take(commit, number, data)

    async def describe_attachment(self, commit: str, author: Identity) -> Response:
        """How far an attachment is here, and how a record names its payload. Raises as `get`."""
        return await run_in_threadpool(self._describe_attachment, commit, author)

    def _describe_attachment(self, commit: str, author: Identity) -> Response:
        self._allowed(commit, author)
        have, count = self.attachments.have(commit)
        named = reference(deposit_of(self.vault.read(commit)))
        answer = AttachmentState(
            complete=self.vault.attached(commit).complete, count=count, have=have, payload=named
        )
        return Response(ENCODE(answer), 200, None, "application/json")

    async def get_chunk(self, commit: str, number: int, author: Identity, why: Why) -> Response:
        """Release a piece of an attachment; of a T2 payload after the reading is on the chain.

        Raises as `get` and `Attachments.give`.
        """
        holding = await run_in_threadpool(self._allowed, commit, author)
        await run_in_threadpool(self._check_complete, commit)
        if holding.tier == "T2":
            await self._begin(holding, author, why)
        data = await run_in_threadpool(self.attachments.give, commit, number)
        return Response(data, 200, {"Cache-Control": "no-store"}, BYTES_TYPE)

    def _check_complete(self, commit: str) -> None:
        """Whether all of it is here; what is not is asked for. Raises `BusyError` (T13)."""
        if not self.vault.attached(commit).complete:
            self.want(commit)
            have, count = self.attachments.have(commit)
            raise BusyError("T13", commit=commit, have=have, count=count)

    async def _begin(self, holding: Holding, author: Identity, why: Why) -> None:
        """One reading of all its pieces, for as long as somebody may take to read them."""
        what, now_s = (holding.commit, author.name, why), time.monotonic()
        if self._begun.get(what, 0.0) > now_s:
            return
        await self._put_on_record(holding, author, why)
        self._begun[what] = now_s + READING_S
        while len(self._begun) > MAX_BEGUN:
            self._begun.popitem(last=False)

    async def _put_on_record(self, holding: Holding, author: Identity, why: Why) -> None:
        await run_in_threadpool(self._note, holding, author, "ok")
        await self._on_chain(holding.commit, author, why)

    def _holding(self, commit: str, author: Identity) -> Holding:
        """What is here, or is brought here for somebody of this organisation who may read it."""
        try:
            return self.vault.holding(commit)
        except NotFoundError as error:
            named = [item for item in self.vault.named(commit) if self.org in item.holders]
            if error.rule != "T3" or not named or author.org != self.org:
                raise
        check_release(author, Holding(commit, "T2", "", "", named[0].holders, ""), self.org)
        if not self.fetch(commit):
            raise NotFoundError("T3", commit=commit)
        return self.vault.holding(commit)

    def _note(self, holding: Holding, author: Identity, outcome: str) -> None:
        self.vault.record(
            Reading(
                commit=holding.commit,
                at_ms=wall_ms(),
                org=author.org,
                role=author.role,
                subject=author.subject,
                key=author.key,
                outcome=outcome,
            )
        )

    def describe(self) -> dict[str, object]:
        """How much the vault holds, what it misses, and who read restricted payloads."""
        return {
            "counts": self.vault.counts(),
            "height": self.vault.height,
            "missing": [item._asdict() for item in self.vault.missing(self.org)],
            "readings": [
                {"number": number, **reading._asdict()}
                for number, reading in self.vault.newest_readings()
            ],
        }


def _depositor(author: Identity) -> str:
    return f"node:{author.org}" if author.role == "node" else author.key


def deposit_of(opened: Opened) -> Deposit:
    """What is in a vault, as it was handed in."""
    holding = opened.holding
    group = holding.group if holding.group.startswith(("person:", "study:")) else None
    return Deposit(
        group=group,
        holders=holding.holders,
        payload=msgspec.json.decode(opened.payload, type=dict[str, msgspec.Raw]),
        salt=b64url(opened.salt),
        schema=holding.schema,
        tier=holding.tier,
    )
