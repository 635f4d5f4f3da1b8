"""What arrives is parsed and its signatures are checked here, off the writer's thread, once.

Nothing below decides whether a record is admitted: that is for the rules, in the writer.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic
from typing import Final, NamedTuple

from ledger.chain import Tip
from ledger.consensus import BlockInfo, Certificate, Fact, Summary, check_run, verify_fact
from ledger.crypto import EDDSA
from ledger.crypto import verify as verify_signature
from ledger.encoding import b64url, decode_bundle, unb64url
from ledger.errors import (
    AllianceError,
    MalformedError,
    ProofError,
    SignatureError,
)
from ledger.members import EpochConfig
from ledger.merkle import leaf_hash, leaf_hashes, tree_hash
from ledger.notes import Note, NoteKey, NoteSignature, decode_checkpoint, decode_note, verify_note
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.seal import SealEntry, decode_seal
from ledger.rules import Signer, find_signer
from ledger.verify import cosigner_keys, decode_epochs, verify_epochs
from node.roster import Peer
from node.wire import CompactBlock, Exchange, FinalBlocks, Want

REMEMBERED_BYTES: Final = 32 << 20
"""Bytes of the signed messages that are remembered; the oldest are checked again."""
AROUND: Final = 400
"""What remembering one takes besides the message, in bytes."""
HEARD: Final = 1_024
"""Cosigned tree heads that are remembered; the oldest are checked again."""
HEARD_BYTES: Final = 2_048
PARSED_BYTES: Final = 16 << 20
"""Bytes of the entries that are remembered as parsed; the oldest are parsed again."""
READING_S: Final = 0.25
"""For so long a message waits for another one that is being read. That one may be large, and say
this one's entries only so that it waits: then it is read as if it stood alone.
"""


class Signatures:
    """Checked once: `verify` answers from here what a thread has already found to be right.

    Known by algorithm, key, signature and message together (consensus.md 2.3), and compared with
    all of them: to compare is faster than to hash. What is remembered is bounded in bytes.
    """

    def __init__(self, limit: int = REMEMBERED_BYTES) -> None:
        self._known: dict[bytes, tuple[int, bytes, bytes]] = {}
        self._limit = limit
        self._bytes = 0
        self._lock = Lock()

    def check(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """Verify, and remember what is right."""
        return self.check_all([(alg, key, signature, message)])[0]

    def check_all(self, checks: Sequence[tuple[int, bytes, bytes, bytes]]) -> list[bool]:
        """`check` of each. What is right is remembered at the end: other threads go on while a
        signature is checked, and whatever stands between two checks waits for them.
        """
        known = [self._known.get(check[2]) == (*check[:2], check[3]) for check in checks]
        right = [
            held or verify_signature(*check) for check, held in zip(checks, known, strict=True)
        ]
        with self._lock:
            for (alg, key, signature, message), held, is_right in zip(
                checks, known, right, strict=True
            ):
                if is_right and not held:
                    self._keep(signature, (alg, key, message))
        return right

    def verify(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """`ledger.crypto.verify`, answered from memory where the same was checked before."""
        if self._known.get(signature) == (alg, key, message):
            return True
        return verify_signature(alg, key, signature, message)

    def forget(self, entries: Sequence[Entry]) -> None:
        """These stand in a final block, or nowhere."""
        with self._lock:
            for entry in entries:
                self._drop(entry.statement.signature)

    def _keep(self, signature: bytes, what: tuple[int, bytes, bytes]) -> None:
        self._drop(signature)
        self._known[signature] = what
        self._bytes += AROUND + len(what[2])
        while self._bytes > self._limit:
            self._drop(next(iter(self._known)))

    def _drop(self, signature: bytes) -> None:
        what = self._known.pop(signature, None)
        if what is not None:
            self._bytes -= AROUND + len(what[2])


class Parsed:
    """Parsed once: `decode` answers from here what admission has already read.

    Known by all of its bytes, so that it is what `decode_entry` would give: the bytes of a block
    that arrived before as entries of their own need no second look.
    """

    def __init__(self, limit: int = PARSED_BYTES) -> None:
        self._known: dict[bytes, Entry] = {}
        self._by_leaf: dict[bytes, Entry] = {}
        self._limit = limit
        self._bytes = 0
        self._lock = Lock()

    def decode(self, raw: bytes) -> Entry:
        """`ledger.records.decode_entry`, answered from memory where the same was read before."""
        return self._known.get(raw) or decode_entry(raw)

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._known

    def find(self, leaves: Sequence[bytes]) -> list[bytes] | None:
        """The entries of these leaf hashes; None where one is not remembered."""
        found = [entry.raw for leaf in leaves if (entry := self._by_leaf.get(leaf)) is not None]
        return found if len(found) == len(leaves) else None

    def keep(self, entries: Iterable[Entry]) -> None:
        """These will be asked for again."""
        with self._lock:
            for entry in entries:
                if entry.raw not in self._known:
                    self._known[entry.raw] = self._by_leaf[entry.leaf] = entry
                    self._bytes += len(entry.raw)
            while self._bytes > self._limit:
                self._drop(next(iter(self._known.values())))

    def forget(self, entries: Iterable[Entry]) -> None:
        """These stand in a final block, or nowhere."""
        with self._lock:
            for entry in entries:
                self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        if self._known.pop(entry.raw, None) is not None:
            self._by_leaf.pop(entry.leaf, None)
            self._bytes -= len(entry.raw)


class _Reading:
    """What the threads are reading at this moment, each entry in one of them."""

    def __init__(self) -> None:
        self._claimed: dict[bytes, Event] = {}
        self._lock = Lock()

    @contextmanager
    def claim(self, raws: Sequence[bytes]) -> Iterator[tuple[list[bytes], set[Event]]]:
        """Those that no other thread is reading; and, for after them, the ends of the others.

        Whoever waits has finished its own: nobody waits in a circle.
        """
        done, others = Event(), set()
        mine: list[bytes] = []
        with self._lock:
            for raw in raws:
                claimed = self._claimed.setdefault(raw, done)
                if claimed is done:
                    mine.append(raw)
                else:
                    others.add(claimed)
        try:
            yield mine, others
        finally:
            with self._lock:
                for raw in mine:
                    self._claimed.pop(raw, None)
            done.set()

    def wait(self) -> None:
        """Until all that is being read now has been read, or `READING_S`; for who reads nothing
        itself.
        """
        with self._lock:
            claimed = set(self._claimed.values())
        wait_for(claimed)


def wait_for(others: Iterable[Event]) -> None:
    """Until others have read what they are reading; for `READING_S` in all, and no longer."""
    end = monotonic() + READING_S
    for done in others:
        done.wait(max(0.0, end - monotonic()))


class Body(NamedTuple):
    """A block of another member as it arrived: its seal is a member's, the rest is unchecked."""

    info: BlockInfo
    raws: list[bytes]


class Cosigned(NamedTuple):
    """A member's word on a tree head."""

    org: str
    size: int
    text: bytes
    line: NoteSignature
    log: NoteSignature | None = None
    """The line of that member's log key, where it came along; unchecked."""


class _Heard:
    """Words on tree heads that were checked: a member repeats its newest one for as long as there
    is nothing newer, and everybody hands it on.

    Known by all the bytes of a note, under the configuration in force.
    """

    def __init__(self) -> None:
        self._config = b""
        self._known: dict[bytes, list[Cosigned]] = {}
        self._lock = Lock()
        self._keys: dict[tuple[str, bytes], tuple[str, NoteKey]] = {}

    def keys(self, tip: Tip) -> dict[tuple[str, bytes], tuple[str, NoteKey]]:
        """The cosigner keys that count, with their organisations, worked out once for each
        configuration. The head of a boundary block is the old members' to cosign; who counts, the
        head says.
        """
        with self._lock:
            if self._config != tip.config.config_hash:
                configs = (tip.config, *(boundary.config for boundary in tip.boundaries[-1:]))
                self._config, self._known = tip.config.config_hash, {}
                self._keys = {
                    (key.name, key.key_id): (org, key)
                    for config in configs
                    for org, key in cosigner_keys(config, tip.origin).items()
                }
            return self._keys

    def find(self, tip: Tip, data: bytes) -> list[Cosigned] | None:
        """What was found in this note, if it was checked."""
        with self._lock:
            known = self._config == tip.config.config_hash
            return self._known.get(data) if known else None

    def keep(self, tip: Tip, data: bytes, words: list[Cosigned]) -> None:
        """It was checked; notes that are larger than any of ours are checked again."""
        if words and len(data) <= HEARD_BYTES:
            with self._lock:
                if self._config == tip.config.config_hash:
                    self._known[data] = words
                    while len(self._known) > HEARD:
                        self._known.pop(next(iter(self._known)))


class Run(NamedTuple):
    """Final blocks in a row, verified as such; what they hold is not."""

    bodies: list[Body]
    certificate: Certificate

    @property
    def first(self) -> int:
        """The height of the first."""
        return self.bodies[0].info.height

    @property
    def last(self) -> int:
        """The height of the last."""
        return self.certificate.height

    @property
    def epoch(self) -> int:
        """The epoch that all of them are of."""
        return self.certificate.epoch


class Epochs(NamedTuple):
    """The ends of epochs, verified from the genesis on."""

    configs: tuple[EpochConfig, ...]
    """The configurations of all epochs, by number, and of the one after the last end."""
    ends: tuple[int, ...]
    """The heights of the blocks that closed them."""


class Delivery(NamedTuple):
    """What one message brought, every signature but those inside blocks checked."""

    peer: Peer
    summary: Summary | None
    entries: list[Entry]
    bodies: list[Body]
    facts: list[Fact]
    cosigned: list[Cosigned]
    wants: tuple[Want, ...]
    rejected: int
    runs: tuple[Run, ...] = ()
    epochs: Epochs | None = None
    lacking: tuple[bytes, ...] = ()
    """Blocks, by id, of which it named entries that are not here."""
    lied: bool = False
    """Whether it gave final blocks or ends of epochs that do not verify."""


class Admission:
    """Checks under the keys of a tip, which the caller gives: the newest final one."""

    def __init__(self, signatures: Signatures, genesis: Tip) -> None:
        self.signatures = signatures
        self.genesis = genesis
        self.epochs: tuple[EpochConfig, ...] = ()
        """Configurations of all epochs as far as they are known ahead of the blocks."""
        self.parsed = Parsed()
        self._reading = _Reading()
        self._votes = Signatures()
        self._heard = _Heard()

    def forget(self, entries: Sequence[Entry]) -> None:
        """These stand in a final block, or nowhere."""
        self.signatures.forget(entries)
        self.parsed.forget(entries)

    def entries(self, tip: Tip, raws: Sequence[bytes]) -> list[Entry | AllianceError]:
        """Each entry, or what is wrong with it.

        What another thread is reading at this moment is left to it, for a while: a block often
        comes while its entries, which were sent ahead, are still being read. All are parsed before
        the first signature is checked: in turns, parsing takes twice its time.
        """
        if not raws:
            return []
        with self._reading.claim(raws) as (mine, others):
            found = self._read(tip, mine)
        wait_for(others)
        found |= self._read(tip, [raw for raw in raws if raw not in found])
        return [found[raw] for raw in raws]

    def _read(self, tip: Tip, raws: Sequence[bytes]) -> dict[bytes, Entry | AllianceError]:
        """Each entry, which is remembered, or what is wrong with it."""
        parsed = [self._parse(raw) for raw in raws]
        entries = [entry for entry in parsed if isinstance(entry, Entry)]
        checked = iter(self._check_authors(tip, entries))
        read = [next(checked) if isinstance(item, Entry) else item for item in parsed]
        self.parsed.keep(item for item in read if isinstance(item, Entry))
        return dict(zip(raws, read, strict=True))

    def _check_authors(self, tip: Tip, entries: Sequence[Entry]) -> Iterator[Entry | AllianceError]:
        """Each entry, or what is wrong with its author or its signature."""
        kids = {entry.statement.kid for entry in entries}
        signers = {kid: self._signer(tip, kid) for kid in kids}
        checks = [
            (signer.alg, signer.public_key, statement.signature, statement.to_be_signed)
            for statement in (entry.statement for entry in entries)
            if isinstance(signer := signers[statement.kid], Signer)
        ]
        right = iter(self.signatures.check_all(checks))
        for entry in entries:
            signer = signers[entry.statement.kid]
            if isinstance(signer, AllianceError):
                yield signer
            elif next(right):
                yield entry
            else:
                yield SignatureError("S3.signature", org=entry.statement.iss)

    def _parse(self, raw: bytes) -> Entry | AllianceError:
        try:
            return self.parsed.decode(raw)
        except AllianceError as error:
            return error

    def _signer(self, tip: Tip, kid: bytes) -> Signer | AllianceError:
        try:
            return find_signer(tip.state, tip.config, b64url(kid))
        except AllianceError as error:
            return error

    def delivery(self, tip: Tip, peer: Peer, exchange: Exchange) -> Delivery:
        """What is right of a message; what is not is dropped and counted.

        Who has no vote has nothing to say but where it stands and what it lacks, and brings the
        entries of its people; who left, its word on the last head of its time, too.
        """
        if peer.role in ("observer", "former"):
            exchange = Exchange(
                v=1,
                pin=exchange.pin,
                summary=exchange.summary,
                wants=exchange.wants,
                entries=exchange.entries,
                cosignatures=exchange.cosignatures if peer.role == "former" else (),
            )
        found = Delivery(peer, exchange.summary, [], [], [], [], exchange.wants, 0)
        previous = tip.boundaries[-1].config if tip.boundaries else None
        entries = self.entries(tip, exchange.entries)
        found.entries.extend(entry for entry in entries if isinstance(entry, Entry))
        bodies = list(self._bodies(tip, (*exchange.blocks, *exchange.compact)))
        found.bodies.extend(body for body in bodies if isinstance(body, Body))
        lacking = tuple(body for body in bodies if isinstance(body, bytes))
        rejected = sum(isinstance(item, AllianceError) for item in (*entries, *bodies))
        # What is said twice costs the writer no second step.
        for fact in dict.fromkeys(exchange.facts):
            try:
                verify_fact(fact, tip.config, self._votes.check, previous)
                found.facts.append(fact)
            except AllianceError:
                rejected += 1
        for data in exchange.cosignatures:
            try:
                found.cosigned.extend(self._heard_words(tip, data))
            except AllianceError:
                rejected += 1
        found = found._replace(rejected=rejected, lacking=lacking)
        return self._final(tip, exchange, found)

    def _final(self, tip: Tip, exchange: Exchange, found: Delivery) -> Delivery:
        """Final blocks and ends of epochs, which were asked for. Of an epoch that this node knows
        nothing of yet it cannot say whether they are right.
        """
        runs: list[Run] = []
        try:
            epochs = self._ends(exchange.epochs) if exchange.epochs else None
            for item in exchange.runs:
                number = item.certificate.epoch
                known = self.epochs if number > tip.config.epoch else tip.configs
                if number < len(known):
                    runs.append(self._run(tip, known[number], item))
        except AllianceError:
            return found._replace(rejected=found.rejected + 1, lied=True)
        return found._replace(runs=tuple(runs), epochs=epochs)

    def _ends(self, data: bytes) -> Epochs:
        """Raises as `verify_epochs`, or `MalformedError`."""
        boundaries = decode_epochs(data)
        configs = verify_epochs(boundaries, self.genesis)
        seals = [decode_seal(unb64url(boundary.seal.entry)).seal for boundary in boundaries]
        return Epochs(configs, tuple(seal.height for seal in seals))

    def _run(self, tip: Tip, config: EpochConfig, item: FinalBlocks) -> Run:
        """Raises as `check_run`, or `MalformedError` and `ProofError` (L6) for what is no block."""
        bodies = [bound_body(decode_bundle(bundle))[0] for bundle in item.blocks]
        infos = [body.info for body in bodies]
        check_run(infos, item.certificate, config, self._votes.check)
        # Signatures are checked ahead, by keys that are known by now; `check_block` has the word.
        for body in bodies:
            if body.info.height > tip.height:
                self.entries(tip, [raw for raw in body.raws[:-1] if raw not in self.parsed])
        return Run(bodies, item.certificate)

    def _bodies(
        self, tip: Tip, blocks: Iterable[bytes | CompactBlock]
    ) -> Iterator[Body | bytes | AllianceError]:
        """Each block; or its id where entries are only named that are not here; or what is wrong
        with it.
        """
        for block in blocks:
            try:
                raws = self._raws_of(tip, block)
                yield raws if isinstance(raws, bytes) else self._body(tip, raws)
            except AllianceError as error:
                yield error

    def _raws_of(self, tip: Tip, block: bytes | CompactBlock) -> list[bytes] | bytes:
        """The entries of a block, seal last; or its id where one that is only named is neither
        here nor being read now.

        Raises `MalformedError`; of who only names entries as `_check_leader`: it will be asked.
        """
        if isinstance(block, bytes):
            return decode_bundle(block)
        self._check_leader(tip, decode_seal(block.seal))
        leaves = [block.leaves[at : at + 32] for at in range(0, len(block.leaves), 32)]
        entries = self.parsed.find(leaves)
        if entries is None:
            self._reading.wait()
            entries = self.parsed.find(leaves)
        return leaf_hash(block.seal) if entries is None else [*entries, block.seal]

    def _body(self, tip: Tip, raws: list[bytes]) -> Body:
        """Raises `MalformedError`, as `_check_leader`, or `ProofError` for a seal over other
        entries than these, or too many (L5, L6).
        """
        body, seal = bound_body(raws)
        self._check_leader(tip, seal)
        limits = tip.config.limits
        if body.info.size > limits.block_bytes or len(raws) > limits.block_records + 1:
            raise ProofError("L5.large", height=seal.seal.height)
        # Checked ahead and remembered, unless they came before; what is wrong, or signed by keys
        # that only later blocks name, is for `check_block` to say. Nothing for a block that is
        # final here already.
        if seal.seal.height > tip.height:
            self.entries(tip, [raw for raw in raws[:-1] if raw not in self.parsed])
        return body

    def _check_leader(self, tip: Tip, seal: SealEntry) -> None:
        """Raises `SignatureError` (S3.signature) for a seal of nobody here, or `ProofError`
        (L3.leader) for one whose turn it was not.
        """
        statement = seal.statement
        member = tip.config.node_kids.get(b64url(statement.kid))
        message = statement.to_be_signed
        if member is None or not self._votes.check(
            EDDSA, unb64url(member.node_pk), statement.signature, message
        ):
            raise SignatureError("S3.signature", org=statement.iss)
        leader = tip.config.members[tip.config.leader(max(1, seal.seal.view))]
        if seal.seal.epoch == tip.config.epoch and member is not leader:
            raise ProofError("L3.leader", height=seal.seal.height, org=leader.org)

    def _heard_words(self, tip: Tip, data: bytes) -> list[Cosigned]:
        """Raises as `cosigned`."""
        words = self._heard.find(tip, data)
        if words is None:
            words = self.cosigned(tip, decode_note(data))
            self._heard.keep(tip, data, words)
        return words

    def cosigned(self, tip: Tip, note: Note) -> list[Cosigned]:
        """The members' words on a tree head, of those lines that are members' cosignatures.

        Raises `ProofError` (N4) or `MalformedError` (N6).
        """
        size = decode_checkpoint(note.text).size
        words: list[Cosigned] = []
        log = next((line for line in note.signatures if line.name == tip.origin), None)
        keys = self._heard.keys(tip)
        for line in note.signatures[: len(keys) + 1]:
            org, key = keys.get((line.name, line.key_id), ("", None))
            if key is not None:
                verify_note(Note(note.text, (line,)), (key,))
                words.append(Cosigned(org, size, note.text, line, log))
        return words


def bound_body(raws: list[bytes]) -> tuple[Body, SealEntry]:
    """A block and its seal, which commits to exactly these entries: whatever else travels or lies
    beside that seal is not the block, and must never be judged in its place.

    Raises `MalformedError`, or `ProofError` (L6).
    """
    if not raws:
        raise MalformedError("B8", offset=0)
    seal = decode_seal(raws[-1])
    if seal.seal.entries_root != b64url(tree_hash(leaf_hashes(raws[:-1]))):
        raise ProofError("L6", height=seal.seal.height)
    return Body(info_of(seal, sum(map(len, raws[:-1]))), raws), seal


def info_of(entry: SealEntry, size: int = 0) -> BlockInfo:
    """What consensus knows of a block."""
    seal = entry.seal
    return BlockInfo(
        id=entry.leaf,
        height=seal.height,
        view=seal.view,
        parent=unb64url(seal.prev.leaf, 32) if seal.prev else bytes(32),
        parent_view=seal.parent_view,
        epoch=seal.epoch,
        config_hash=unb64url(seal.config_hash, 32),
        time_ms=seal.time_ms,
        next_config_hash=unb64url(seal.next_config_hash, 32) if seal.next_config_hash else None,
        size=size,
    )
