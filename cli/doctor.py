"""`alliance doctor`: what an operator runs when something seems wrong. One line for each check: in
order, worth a look, or a problem, with what to do next. It only looks: nothing is changed, locked
or sent that counts as a word of this node, whether the node runs or not.
"""

import json
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar, cast

from cli import home as homes
from cli.options import DEFAULT_HOME, Home, Json, Lang, PassphraseFile
from cli.screen import code_text, exit_code, language, local_time, printable, say, show
from cli.standing import CLOCK_WARN_MS, Standing, standing_of
from cli.statements import clock_ms
from ledger.chain import Applied
from ledger.crypto import Signer
from ledger.encoding import b64url
from ledger.errors import AllianceError, BusyError, ConfigError, ProofError, StorageError
from node import VERSION
from node.client import NodeClient, UnreachableError
from node.config import Config, copy_place, load_config
from node.forms import Alive, Health, has_form
from node.keyring import NODE_ROLES, Keyring, KeySet
from node.peerclient import PeerClient
from node.tls import Trust, split_pin
from node.vaultcopies import check_copy

if TYPE_CHECKING:
    from node.store.inspecting import Seen

LEAST_FREE_MIB: Final = 100
"""With less a node is about to stop."""
LOW_FREE_MIB: Final = 2_048
BACKUP_DAYS: Final = 7
LAST_BACKUP: Final = "last-backup.json"
"""What `alliance backup` leaves in the home directory: when, how high, where to."""
PROBE_S: Final = 5.0

T = TypeVar("T")
Level = Literal["ok", "warning", "problem", "unknown"]


class Finding(NamedTuple):
    """One line: `detail` says what is in order, `error` what is not."""

    check: str
    level: Level
    detail: str = ""
    error: AllianceError | None = None


def doctor(
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Check this node and its surroundings, whether it runs or not; changes nothing."""
    findings = list(Examination(home, passphrase_file).run())
    problems = [f.error for f in findings if f.level == "problem" and f.error is not None]
    warnings = sum(finding.level == "warning" for finding in findings)
    lines = [line for finding in findings for line in _lines(finding)]
    lines.append(say("doctor-sum", problems=len(problems), warnings=warnings))
    result = {"findings": [_value(f) for f in findings], "problems": len(problems)}
    show({**result, "warnings": warnings}, lines)
    if problems:
        raise SystemExit(exit_code(problems[0]))


def _lines(finding: Finding) -> Iterator[str]:
    mark = say(f"doctor-{finding.level}")
    label = say(f"check-{finding.check}")
    error, lang = finding.error, language()
    if error is None:
        yield f"{mark:<8} {label}: {finding.detail}"
        return
    yield printable(f"{mark:<8} {label}: {error.rule}: {error.sentence(lang)}")
    yield printable(f"         {say('next', step=error.next_step(lang))}")


def _value(finding: Finding) -> dict[str, object]:
    value: dict[str, object] = {"check": finding.check, "level": finding.level}
    error = finding.error
    if error is None:
        return {**value, "detail": finding.detail}
    return {
        **value,
        "rule": error.rule,
        "detail": error.sentence("en"),
        "detail_zh": error.sentence("zh"),
        "next": error.next_step("en"),
        "next_zh": error.next_step("zh"),
    }


class Examination:
    """The checks of one home directory, in order; what an earlier one could not read, a later one
    says that it did not check.
    """

    def __init__(self, home: Path, passphrase_file: Path | None) -> None:
        self.home = home
        self.passphrase_file = passphrase_file
        self._offsets: list[int] = []

    def run(self) -> Iterator[Finding]:
        """All findings, as they come."""
        checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("settings", self._settings),
            ("permissions", self._permissions),
            ("genesis", self._genesis_file),
            ("keys", self._keys),
            ("database", self._database),
            ("journal", self._journal),
            ("alarms", self._alarms),
            ("disk", self._disk),
            ("node", self._node),
            ("quorum", self._quorum),
            ("peers", self._peers),
            ("clock", self._clock),
            ("backup", self._backup),
            ("vault", self._vault),
        )
        for name, check in checks:
            try:
                yield from check()
            except _NotKnown as missing:
                yield Finding(name, "unknown", say("doctor-because", check=_label(str(missing))))
            except AllianceError as error:
                yield Finding(name, "problem", error=error)

    # --- what several checks need -----------------------------------------------------------------

    @cached_property
    def config(self) -> Config:
        """node.toml."""
        return load_config(self.home, b"-")

    def _known_config(self) -> Config:
        return _or_unknown("settings", lambda: self.config)

    @cached_property
    def genesis(self) -> Applied:
        """Block 0."""
        return homes.load_genesis(self.home)

    @cached_property
    def seen(self) -> "Seen":
        """The database."""
        from node.store.inspecting import inspect  # late, as `cli.operate` loads a node

        bundle = homes.read_file(self.home / "genesis")
        return inspect(self._known_config().database_file, bundle)

    @cached_property
    def signers(self) -> dict[str, Signer]:
        """The node's three keys, opened. Raises `ConfigError` (O1, O11.locked, C*)."""
        if homes.known_passphrase(self.home, self.passphrase_file) is None:
            raise ConfigError("O11.locked")
        return {
            role: homes.load_signer(self.home, role, self.passphrase_file) for role in NODE_ROLES
        }

    @cached_property
    def health(self) -> Alive | None:
        """What the running node says of itself; None when none answers. Without the keys it says
        less.
        """
        url, trust = homes.way_to_node(self.home, None)
        try:
            signer = self.signers["node"]
        except AllianceError:
            signer = None
        try:
            with NodeClient(url, signer, timeout_s=PROBE_S, trust=trust) as client:
                return client.alive()
        except UnreachableError as error:
            if error.rule != "O7":
                raise
            return None

    def _full_health(self) -> Health | None:
        """The same with all that it says to whoever signs; None when it says less, as a node of
        another version might.
        """
        health = _or_unknown("node", lambda: self.health)
        return cast("Health", health) if has_form(health, Health) else None

    def _standing(self) -> Standing:
        health = self._full_health()
        if health is None:
            raise _NotKnown("node")
        return standing_of(health, clock_ms())

    # --- the checks -------------------------------------------------------------------------------

    def _settings(self) -> Iterator[Finding]:
        config = self.config
        listen = f"{config.peer_host}:{config.peer_port}" if config.peer_host else "-"
        address = f"{config.host}:{config.port}"
        yield Finding("settings", "ok", say("doctor-settings", address=address, listen=listen))

    def _permissions(self) -> Iterator[Finding]:
        folder = self.home / "keys"
        if not folder.is_dir():
            raise ConfigError("O1.file", file="keys")
        # The public parts beside them are for everybody, half written ones of a killed command too.
        secret = [
            one for one in folder.iterdir() if not homes.HALF.sub("", one.name).endswith(".json")
        ]
        found = [folder, *sorted(secret)]
        for path in found:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                error = ConfigError("O1.mode", file=path.name, mode=f"{mode:04o}")
                yield Finding("permissions", "problem", error=error)
        yield Finding("permissions", "ok", say("doctor-permissions", count=len(found)))

    def _genesis_file(self) -> Iterator[Finding]:
        pin = b64url(self.genesis.tip.seal_leaf)
        origin = self.genesis.tip.origin
        yield Finding("genesis", "ok", say("doctor-genesis", origin=origin, pin=pin))

    def _keys(self) -> Iterator[Finding]:
        try:
            signers = self.signers
        except ConfigError as error:
            if error.rule != "O11.locked":
                raise
            yield Finding("keys", "warning", error=error)
            return
        tip = _or_unknown("genesis", lambda: self.genesis).tip
        if self._epoch() == 0:
            keys = KeySet(*(signers[role] for role in NODE_ROLES))
            keyring = Keyring((keys,), stated_org=self._known_config().org)
            keyring.check(tip.config)
            yield Finding("keys", "ok", say("doctor-keys", org=keyring.org(tip)))
        else:
            # Who holds which key now stands on the chain; a node that runs has compared them.
            yield Finding("keys", "ok", say("doctor-keys-opened"))

    def _epoch(self) -> int:
        try:
            return self.seen.epoch
        except (AllianceError, _NotKnown):
            return 0

    def _database(self) -> Iterator[Finding]:
        if not self._known_config().database_file.exists():
            missing = ConfigError("O1.database", file="ledger.db")
            yield Finding("database", "warning", error=missing)
            return
        try:
            seen = self.seen
        except StorageError as error:
            level: Level = "warning" if error.rule == "O11.log" else "problem"
            yield Finding("database", level, error=error)
            return
        detail = say("doctor-database", height=seen.height, size=seen.size, epoch=seen.epoch)
        yield Finding("database", "ok", detail)

    def _known_database(self) -> "Seen":
        return _or_unknown("database", lambda: self.seen)

    def _journal(self) -> Iterator[Finding]:
        seen = self._known_database()
        if seen.journal_damaged:
            yield Finding("journal", "problem", error=StorageError("O11.journal"))
        if (seen.in_doubt and not self._is_alone()) or seen.quarantined:
            yield Finding("journal", "warning", error=StorageError("O11.doubt"))
        elif not seen.journal_damaged:
            yield Finding("journal", "ok", say("doctor-journal", rows=seen.journal_rows))

    def _is_alone(self) -> bool:
        """A chain of one member that was never more: it has nobody to ask, and votes."""
        return (
            self.seen.epoch == 0 and _or_unknown("genesis", lambda: self.genesis).tip.config.n == 1
        )

    def _alarms(self) -> Iterator[Finding]:
        seen = self._known_database()
        for kind, at_ms in seen.alarms:
            level: Level = "problem" if kind == "safety" else "warning"
            error = ProofError("O11.alarm", kind=kind, time=local_time(at_ms))
            yield Finding("alarms", level, error=error)
        if seen.accused:
            error = ProofError("O11.lies", count=seen.accused)
            yield Finding("alarms", "warning", error=error)
        health = self._full_health()
        apart = ", ".join(health["cosigned_otherwise"]) if health else ""
        if apart:
            yield Finding("alarms", "problem", error=ProofError("O11.apart", orgs=apart))
        if not (seen.alarms or seen.accused or apart):
            yield Finding("alarms", "ok", say("doctor-alarms"))

    def _disk(self) -> Iterator[Finding]:
        if not self.home.exists():
            raise ConfigError("O1.file", file=self.home.name)
        free = shutil.disk_usage(self.home).free >> 20
        if free < LOW_FREE_MIB:
            level: Level = "problem" if free < LEAST_FREE_MIB else "warning"
            yield Finding("disk", level, error=StorageError("O11.disk", free=free))
        else:
            yield Finding("disk", "ok", say("doctor-disk", free=free))

    def _node(self) -> Iterator[Finding]:
        self._known_config()
        health = self.health
        if health is None:
            yield Finding("node", "warning", error=UnreachableError("O11.down"))
            return
        if health["status"] != "ok":
            error = BusyError("O11.status", status=health["status"])
            yield Finding("node", "problem", error=error)
        else:
            yield Finding("node", "ok", say("doctor-node", status=code_text(health["status"])))
        found = health.get("version", VERSION)
        if found != VERSION:
            other = ConfigError("O11.version", found=found, known=VERSION)
            yield Finding("node", "warning", error=other)

    def _quorum(self) -> Iterator[Finding]:
        standing = self._standing()
        orgs = ", ".join(standing.silent)
        if standing.spare < 0:
            error = BusyError("O11.quorum", count=-standing.spare, orgs=orgs or "-")
            yield Finding("quorum", "problem", error=error)
        elif standing.silent and standing.spare == 0:
            yield Finding("quorum", "warning", error=BusyError("O11.few", orgs=orgs))
        else:
            detail = say("doctor-quorum", at_work=standing.at_work, n=standing.n, q=standing.q)
            yield Finding("quorum", "ok", detail)

    def _peers(self) -> Iterator[Finding]:
        config = self._known_config()
        members = _or_unknown("genesis", lambda: self.genesis).tip.config.members
        if self._epoch() == 0 and len(members) > 1:
            own = _or_unknown("keys", self._own_org)
            missing = sorted({m.org for m in members} - set(config.peers) - {own})
            if missing and not config.peer_host:
                error = ConfigError("O11.address", orgs=", ".join(missing))
                yield Finding("peers", "problem", error=error)
            elif missing:
                error = ConfigError("O11.address", orgs=", ".join(missing))
                yield Finding("peers", "warning", error=error)
        if not config.peers:
            yield Finding("peers", "ok", say("doctor-no-peers"))
            return
        signer = _or_unknown("keys", lambda: self.signers)["node"]
        for org, address in sorted(config.peers.items()):
            yield self._probe(org, address, signer)

    def _own_org(self) -> str:
        node = homes.load_public(self.home, "node", self.passphrase_file)
        member = self.genesis.tip.config.node_kids.get(node.kid)
        return member.org if member else ""

    def _probe(self, org: str, address: str, signer: Signer) -> Finding:
        url, pins = split_pin(address)
        config = self._known_config()
        trust = Trust(pins, config.home / config.tls_trust if config.tls_trust else None)
        try:
            with PeerClient(url, signer, PROBE_S, trust) as client:
                rule, date_s = client.probe(int(time.time()), secrets.token_bytes(16))
        except UnreachableError as failed:
            if failed.rule == "O7.pin":
                return Finding("peers", "warning", error=failed)
            return Finding("peers", "warning", error=UnreachableError("O11.peer", org=org, url=url))
        if date_s is not None:
            self._offsets.append(1000 * date_s + 500 - clock_ms())
        if rule in ("H2", "H8"):
            return Finding("peers", "ok", say("doctor-peer", org=org, url=url))
        error = ProofError("O11.stranger", url=url, inner=rule)
        return Finding("peers", "problem", error=error)

    def _clock(self) -> Iterator[Finding]:
        """By the running node, to the millisecond; else by the peers' answers, to the second."""
        health = self._full_health()
        offsets = sorted([0, *self._offsets])
        by_peers = offsets[(len(offsets) - 1) // 2] if self._offsets else None
        offset = by_peers if health is None else health["clock_offset_ms"]
        if offset is None:
            yield Finding("clock", "unknown", say("doctor-no-clock"))
        elif abs(offset) > CLOCK_WARN_MS:
            error = ConfigError("O11.clock", offset=-offset)
            yield Finding("clock", "problem", error=error)
        else:
            yield Finding("clock", "ok", say("doctor-clock", offset=-offset))

    def _backup(self) -> Iterator[Finding]:
        path = self.home / LAST_BACKUP
        if not path.exists():
            yield Finding("backup", "warning", error=StorageError("O11.backup", age="-"))
            return
        try:
            made = json.loads(homes.read_file(path))
            at_ms, height = int(made["time_ms"]), int(made["height"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError("X1.file", file=path.name) from None
        when = local_time(at_ms)
        if clock_ms() - at_ms > BACKUP_DAYS * 86_400_000:
            yield Finding("backup", "warning", error=StorageError("O11.backup", age=when))
        else:
            yield Finding("backup", "ok", say("doctor-backup", time=when, height=height))

    def _vault(self) -> Iterator[Finding]:
        """Whether a copy of the vault could be restored, as far as it must."""
        config = _or_unknown("settings", lambda: self.config)
        if not config.vault_backup:
            yield Finding("vault", "warning", error=ConfigError("O11.vault"))
            return
        folder = copy_place(self.home, config.vault_backup)
        try:
            copy = check_copy(config, folder)
            is_same = folder.stat().st_dev == self.home.stat().st_dev
        except AllianceError as error:
            told = ConfigError("O11.copy", folder=str(folder), inner=error.rule)
            yield Finding("vault", "problem", error=told)
            return
        when = local_time(copy.at_ms)
        if copy.lacking:
            stale = StorageError("O11.stale", time=when, count=copy.lacking)
            yield Finding("vault", "warning", error=stale)
        elif is_same:
            beside = StorageError("O11.samedisk", time=when, count=copy.payloads)
            yield Finding("vault", "warning", error=beside)
        else:
            yield Finding("vault", "ok", say("doctor-vault", time=when, count=copy.payloads))


class _NotKnown(Exception):
    """What a check needs, another check found wrong already."""


def _or_unknown(check: str, read: Callable[[], T]) -> T:
    """A value that belongs to another check; that one tells what is wrong with it."""
    try:
        return read()
    except AllianceError:
        raise _NotKnown(check) from None


def _label(check: str) -> str:
    return say(f"check-{check}")
