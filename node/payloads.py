"""The routes of payloads: into the vault, and out of it to whom they are for (SPEC 14.3).

The same for people, on the node's own address, and for the nodes of other members, on theirs.
"""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ledger.encoding import b64url
from ledger.errors import ForbiddenError, NotFoundError
from ledger.records.envelope import ENCODE
from ledger.records.payloads import (
    Deposit,
    commit_of,
    decode_deposit,
    encode_deposit,
    reference,
)
from node.client import DEPOSIT_TYPE
from node.clock import wall_ms
from node.identity import Identity
from node.policy import check_deposit, check_release
from node.readings import Why
from node.vault import Holding, Opened, Reading, Vault

OnChain = Callable[[str, Identity, Why], Awaitable[None]]
"""Returns when the reading of a payload by somebody is on the chain, and raises when it is not."""


class Payloads:
    """What may be done with the payloads of one node."""

    def __init__(self, vault: Vault, org: str, on_chain: OnChain) -> None:
        self.vault = vault
        self.org = org
        self._on_chain = on_chain
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
        check_deposit(deposit, self.org)
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
            await self._on_chain(commit, author, why)
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
        if holding.tier == "T2":
            self._note(holding, author, "ok")
        return holding

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
