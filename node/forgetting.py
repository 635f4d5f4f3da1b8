"""Forgetting: what an officer orders, what other members' erasures ask of this node, and this
node's own word on it (domain.md D12; SPEC 14.5).

The payload goes first, then the record: an `erasure` says what has been done. The organisation
whose record named a payload decides; every holder destroys its copy and signs so itself.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Final

import msgspec

from ledger.encoding import (
    b64url,
    decode_moment,
    encode_time,
    encode_uuid7,
    unb64url,
)
from ledger.errors import AllianceError, ConfigError, NotFoundError, RefusedError
from ledger.records import decode_entry
from ledger.records.authorisation import AccessDecisionBody
from ledger.records.envelope import Code, Digest, Entry, Record, Shape, decode_shape
from ledger.records.payloads import Group
from ledger.records.rights import Erased, ErasureBody
from ledger.rules.entitlement import PayloadState
from ledger.rules.standing import PermitState, status_at
from ledger.rules.values import PolicyState
from ledger.state import state_key
from node.clock import wall_ms
from node.driver import Driver
from node.logs import LOG
from node.signing import sign_record
from node.store.queries import Queries
from node.submissions import Published
from node.vault import Erasure, Holding, Named, Vault

MAX_TARGETS: Final = 64
VALID_MS: Final = 7 * 86_400_000
"""How long an erasure may wait until it is included."""
MONTH_MS: Final = 31 * 86_400_000
ANSWER_S: Final = 30
CONSENTS: Final = frozenset({"contribution/name"})
"""Payloads that a person agreed to have disclosed, and may take back at any time."""
ACTIVE: Final = frozenset({"ACTIVE", "SUSPENDED"})


class Order(Shape, frozen=True, kw_only=True):
    """What an officer orders: single payloads, or all of a person or a study."""

    commits: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=1_000)] = ()
    ground: Code
    group: Group | None = None


_ORDERS = msgspec.json.Decoder(Order)


class Answer(Shape, frozen=True, kw_only=True):
    """How an erasure stands: who holds the payload by its record, and who said that it is gone."""

    answered: tuple[str, ...]
    at: str
    commit: str
    ground: str
    holders: tuple[str, ...]
    record: str
    waiting: tuple[str, ...]


class Forgetting:
    """Erases at this node, and puts its word on the chain."""

    def __init__(self, driver: Driver, vault: Vault, queries: Queries) -> None:
        self._driver = driver
        self._vault = vault
        self._queries = queries
        self._org = driver.org
        self.catch_up: Callable[[], object] = lambda: None
        """Takes in what the newest final blocks name: retention counts from there."""

    # --- an order ---

    def order(self, body: bytes) -> list[str]:
        """Erase what an officer orders; gives what was here. The record follows by itself.

        Raises `MalformedError` (S1, S2), `NotFoundError` (T3), or `RefusedError` (T9, T10).
        """
        order = decode_shape(body, _ORDERS)
        self.catch_up()
        commits = [*order.commits, *(self._vault.group(order.group) if order.group else ())]
        if not commits:
            raise NotFoundError("T3", commit=order.group or "-")
        self._check_people(order.group)
        for commit in commits:
            self._check_one(commit)
        erased = self._vault.erase(commits, order.ground, wall_ms())
        self.back_up_keys()
        return erased

    def _check_one(self, commit: str) -> None:
        holding = self._vault.holding(commit)
        schemas = self._schemas(holding)
        if not schemas <= CONSENTS:
            self._check_people(holding.group)
        for named in self._vault.named(commit):
            for schema in sorted(schemas):
                months = self._retention(schema)
                if months and wall_ms() < self._recorded_ms(named) + months * MONTH_MS:
                    raise RefusedError("T10", commit=commit, schema=schema, months=months)

    def _schemas(self, holding: Holding) -> set[str]:
        """What the records that name a payload call it; before there is one, its depositor: what
        that called it is bound to nothing.
        """
        states = [self._payload_state(named) for named in self._vault.named(holding.commit)]
        return {state.schema for state in states if state is not None} or {holding.schema}

    def _check_people(self, group: str | None) -> None:
        """T9: whoever holds an active permit stays known to the home institution."""
        kind, _colon, person = (group or "").partition(":")
        if kind == "person":
            for permit in self._permits_of(person):
                raise RefusedError("T9", person=person, permit=permit)

    def _permits_of(self, person: str) -> Iterator[str]:
        tip = self._driver.final.tip
        try:
            indexes = self._queries.subject(f"person:{person}", tip.size, tip.state)
        except NotFoundError:
            return
        for index in indexes:
            raw = self._driver.store.entry(index)
            if b'"type":"access-decision"' not in raw:
                continue
            body: AccessDecisionBody = decode_entry(raw).record.body
            permit = tip.state.get(state_key("permit", body.permit_id or ""))
            if isinstance(permit, PermitState) and is_active(permit, person, wall_ms()):
                yield body.permit_id or ""

    def _retention(self, schema: str) -> int:
        """The months of the policy in force, which may have begun since the last block."""
        policy, newer = (
            self._driver.final.tip.state.get(state_key("policy", name))
            for name in ("current", "next")
        )
        if isinstance(newer, PolicyState) and newer.from_ms <= wall_ms():
            policy = newer
        return policy.body.retention_months.get(schema, 0) if isinstance(policy, PolicyState) else 0

    def _payload_state(self, named: Named) -> PayloadState | None:
        state = self._driver.final.tip.state.get(
            state_key("payload", f"{named.leaf}/{named.commit}")
        )
        return state if isinstance(state, PayloadState) else None

    def _recorded_ms(self, named: Named) -> int:
        index = self._driver.store.find_leaf(unb64url(named.leaf, 32))
        return (
            0
            if index is None
            else decode_moment(decode_entry(self._driver.store.entry(index)).record.at)
        )

    # --- what the chain asks for ---

    def obey(self, entries: Iterable[Entry]) -> None:
        """Take in `erasure` records: this node's own are on record; those of the organisation
        whose payload it is are done here, too.
        """
        here: list[str] = []
        for entry in entries:
            if not isinstance(entry.record.body, ErasureBody):
                continue
            body = entry.record.body
            leaf, org = b64url(entry.leaf), entry.statement.iss
            for target in body.targets:
                if org == self._org:
                    here += self._vault.erase([target.commit], body.ground_code, wall_ms())
                    self._vault.on_record([target.commit], leaf)
                elif self._is_asked(target, org):
                    here += self._vault.erase([target.commit], body.ground_code, wall_ms())
        if here:
            try:
                self.back_up_keys()
            except ConfigError as error:
                # The next whole copy, which this change calls for, replaces them.
                LOG.warning("keys in the copy of the vault: %s", error)

    def _is_asked(self, target: Erased, org: str) -> bool:
        return any(
            named.leaf == target.record and named.org == org and self._org in named.holders
            for named in self._vault.named(target.commit)
        )

    # --- this node's word ---

    def sign(self) -> bool:
        """Put on the chain what was erased and is not on record; says whether all is."""
        waiting = [item for item in self._vault.erasures() if not item.record]
        targets = [
            (item, Erased(commit=item.commit, record=named.leaf))
            for item in waiting
            for named in self._vault.named(item.commit)
            if self._org in named.holders
        ]
        done = True
        for ground in sorted({item.ground for item, _target in targets}):
            of_ground = [pair for pair in targets if pair[0].ground == ground]
            for at in range(0, len(of_ground), MAX_TARGETS):
                done = self._record(ground, of_ground[at : at + MAX_TARGETS]) and done
        return done

    def _record(self, ground: str, pairs: Sequence[tuple[Erasure, Erased]]) -> bool:
        body = ErasureBody(
            executed_at=encode_time(max(item.at_ms for item, _target in pairs)),
            ground_code=ground,
            holder=self._org,
            key_destroyed=True,
            targets=tuple(target for _item, target in pairs),
        )
        try:
            outcome = self._driver.submit([self._signed(body)]).result(ANSWER_S)[0]
        except (AllianceError, TimeoutError) as error:
            LOG.info("erasure waits: %s", error)
            return False
        if not isinstance(outcome, Published):
            LOG.warning("erasure refused: %s", outcome)
            return False
        self._vault.on_record([item.commit for item, _t in pairs], b64url(outcome.entry.leaf))
        return True

    def _signed(self, body: ErasureBody) -> bytes:
        tip, node = self._driver.final.tip, self._driver.membership.signer
        now_ms = self._driver.clock.now_ms()
        record = Record(
            at=encode_time(now_ms),
            body=body,
            chain=tip.chain,
            id=encode_uuid7(now_ms, secrets.token_bytes(32)),
            not_after=encode_time(now_ms + VALID_MS),
            type="erasure",
            v=1,
        )
        leaves = {unb64url(target.record, 32) for target in body.targets}
        found = self._driver.store.history().find_leaves(sorted(leaves))
        return sign_record(node, self._org, record, found)

    # --- who has answered ---

    def answers(self) -> list[Answer]:
        """Everything that was erased here, and which holders have not said so yet."""
        return [self._answer(item) for item in self._vault.erasures()]

    def _answer(self, item: Erasure) -> Answer:
        holders: set[str] = set()
        answered: set[str] = set()
        for named in self._vault.named(item.commit):
            state = self._payload_state(named)
            if state is not None:
                holders.update(state.holders)
                answered.update(state.erased)
        return Answer(
            answered=tuple(sorted(answered)),
            at=encode_time(item.at_ms),
            commit=item.commit,
            ground=item.ground,
            holders=tuple(sorted(holders)),
            record=item.record,
            waiting=tuple(sorted(holders - answered)),
        )

    def back_up_keys(self) -> None:
        """Keys die first, in the copy as here. Raises `ConfigError` (X1.file)."""
        config = self._driver.config
        if config.vault_backup:
            self._vault.back_up_keys(config.home / config.vault_backup)


def is_active(permit: PermitState, person: str, now_ms: int) -> bool:
    """Whether this person uses data, or may again, under a permit at this time."""
    terms = permit.terms
    named = person in terms.persons or person == permit.pi
    return named and now_ms < terms.until_ms and status_at(permit.spans, now_ms) in ACTIVE
