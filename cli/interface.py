"""The Python interface for researchers and data platforms.

    from cli.interface import Alliance

    with Alliance("alliance-home") as alliance:
        with alliance.use("GTEx@8", permit="P-7", person="9f2c...") as use:
            frame = read_parquet(path)
            use.count(len(frame))
        with alliance.run("survival", permit="P-7", person="9f2c...") as run:
            run.used("GTEx@8", path)
            fit(frame).to_csv("table.csv")
            run.made("table.csv")
        with alliance.result("RES-7", study="S-7", kind="report", runs=[run]) as result:
            result.file("table.csv")

A use or run is written down before it begins and recorded when it ends, with its real start, end
and outcome: of a use `ok`, `error` when the block raises, `denied` for a `PermissionError`,
`unknown` when the process dies in the middle; of a run `completed`, `failed`, `aborted` for an
interruption, or that it `started` and no more. A result is recorded when its block ends without an
exception. While the node is down all of them wait, signed, in the home directory, and are sent with
a later one, by `Alliance.send`, or by `alliance outbox send`. `async with` works as well.
"""

import asyncio
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from cli.documents import fetch_document
from cli.fingerprints import Fingerprint, content_digest, fingerprints
from cli.options import DEFAULT_HOME, Place
from cli.outbox import TRY_LATER, Begun, Outbox, Sent, ending_of
from cli.outputs import described, object_leaf, study_leaf
from cli.questions import ask, write_proofs
from cli.session import Recorded, Session
from cli.statements import clock_ms
from ledger.encoding import b64url, encode_time
from ledger.errors import AllianceError, ConflictError, MalformedError
from node.client import UnreachableError
from node.forms import EXPORTS, Report

BUCKETS: Final = ((0, "0"), (9, "1-9"), (99, "10-99"), (999, "100-999"))
"""How many records a use gave: exact numbers stay outside the ledger (domain.md D12)."""
MOST_GENERATED: Final = 256
"""So many files a run names one by one; of more, the digest of all."""
INTERRUPTIONS: Final = (KeyboardInterrupt, asyncio.CancelledError)

Status = Literal["open", "waiting", "recorded", "refused"]
AnyPath = str | Path


class QueuedWarning(UserWarning):
    """Something is not recorded yet: the node cannot take it now. It waits in the outbox."""


class Alliance:
    """A home directory, its key and its node, for use from Python; threads may share it.

    `key` names the key that signs, `system` the source whose numbers the uses take: one for each
    platform. Raises `ConfigError` or `NotFoundError` at once where home or key are missing.
    """

    def __init__(
        self,
        home: str | Path = DEFAULT_HOME,
        *,
        node: str | None = None,
        key: str = "system",
        passphrase_file: Path | None = None,
        system: str = "python",
    ) -> None:
        self.system = system
        self._session = Session(Place(Path(home), node, passphrase_file, key))
        self._outbox = Outbox(Path(home))
        self._sending = threading.Lock()
        # Asked for here, while somebody looks: not at the end of a long computation.
        self._client = self._session.client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close the connection; what waits stays in the outbox."""
        self._session.close()

    def use(
        self,
        dataset: str,
        *,
        permit: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
        action: str = "read",
        activity: str = "USE",
        channel: str = "api",
    ) -> "Use":
        """A use of a dataset (`SERIES` or `SERIES@VERSION`), for `with` or `async with`.

        Entering raises `MalformedError` (X2) or `RefusedError` (S8) for words that no ledger takes,
        and `UnreachableError` (O7) where the node is down and this home has never seen it: nothing
        is used without a record.
        """
        fields = {
            "action": action,
            "activity": activity,
            "channel": channel,
            "dataset": dataset,
            "permit": permit,
            "person": person,
            "purpose": purpose,
        }
        return Use(self, fields)

    def run(
        self,
        job: str,
        *,
        permit: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
        where: str | None = None,
        run_id: str | None = None,
        namespace: str = "local",
        engine: str | None = "python",
        image: str | None = None,
    ) -> "Run":
        """A run of an analysis, for `with` or `async with`; it raises as `use` does.

        `where` is `ORG` or `ORG/NODE`, by default the organisation that signs; `image` the digest
        of a container's image.
        """
        fields = {
            "compute_node": where,
            "engine": engine,
            "image_digest": image,
            "job": {"name": job, "namespace": namespace},
            "permit": permit,
            "person": person,
            "purpose": purpose,
            "run_id": run_id,
        }
        return Run(self, fields)

    def result(
        self,
        name: str,
        *,
        study: str,
        kind: str,
        runs: Sequence["Run | str"] = (),
        indicators: Sequence[str] = (),
        supersedes: str | None = None,
    ) -> "Result":
        """A result of runs (a `Run` that ended, or the id or leaf hash of its record), for `with`
        or `async with`; nothing is recorded when the block raises.

        Names that this home has never asked for need a node; leaf hashes do not.
        """
        return Result(self, name, study, kind, (tuple(runs), tuple(indicators), supersedes))

    def send(self) -> list[Sent]:
        """Send what waits; gives what became of each. Raises what says "later", see `Outbox`."""
        with self._sending:
            return list(self._outbox.send(self._session))

    def report(self, name: str, **params: str | int) -> Report:
        """The whole answer to one of the committee's questions (`uses`, `provenance`, `coverage`,
        `permits`, `credit`, `egress`, `consequences`, `member`, `committee`, `copies`, `person`,
        `certificate`), all pages at one head. A parameter that is a word of Python ends with `_`:
        `alliance.report("uses", dataset="GTEx", from_="2026-01-01")`.

        Raises `ForbiddenError` for who may not ask it, `NotFoundError` or `MalformedError` as the
        node says.
        """
        given = {key.rstrip("_"): value for key, value in params.items()}
        return ask(self._session, name, given)

    def export(self, form: str, name: str) -> dict[str, Any]:
        """Where an object came from, whole and in a standard form: `prov` is W3C PROV-JSON,
        `crate` the metadata of an RO-Crate, `datacite` what is known of a result, with its title
        where the vault gives it.

        Raises `MalformedError` (X2) for another form, `NotFoundError` as the node says.
        """
        if form not in EXPORTS:
            raise MalformedError("X2", field="form")
        return fetch_document(self._session, form, name)

    def prove(self, report: Report, folder: Path) -> int:
        """Write the receipts of every record that an answer names, each checked first, for an
        auditor; gives their number. Raises `ProofError` or `ConfigError` (X1.file).
        """
        return write_proofs(self._session, report, folder)

    @property
    def waiting(self) -> int:
        """How many records are signed and not recorded yet."""
        return len(self._outbox.waiting())

    def registered(self, dataset: str) -> str | None:
        """The digest that a version was registered with; None where nobody can say so now."""
        with self._sending:
            try:
                return self._session.content_digest_of(dataset)
            except UnreachableError:
                return None


class Pending:
    """A record in the making. `status` says how far it is, `recorded` where it stands."""

    def __init__(self, alliance: Alliance) -> None:
        self._alliance = alliance
        self.id: str | None = None
        """The id of the record, from its beginning on."""
        self.leaf: str | None = None
        """The leaf hash of the record, once it is signed; others may refer to it while it waits."""
        self.status: Status = "open"
        self.recorded: Recorded | None = None
        self.error: AllianceError | None = None
        """Why the record was refused, or waits."""

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self, error: BaseException | None) -> bool:
        """Sign what is known; whether there is anything to send."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._end(error):
            self.status = "waiting"
            self._send(error)

    def _send(self, error: BaseException | None) -> None:
        """Send it, and what waits before it. The block's own exception always goes first."""
        try:
            for one in self._alliance.send():
                if one.id == self.id:
                    self.recorded, self.error = one.recorded, one.error
                    self.status = "recorded" if one.recorded else "refused"
        except TRY_LATER as later:
            self.error = later
            warnings.warn(QueuedWarning(later.sentence("en")), stacklevel=3)
        if self.status == "refused" and self.error is not None:
            if error is None:
                raise self.error
            error.add_note(f"The record was refused: {self.error.sentence('en')}")

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


class Use(Pending):
    """One use of a dataset."""

    def __init__(self, alliance: Alliance, fields: Mapping[str, object]) -> None:
        super().__init__(alliance)
        self._fields = fields
        self._begun: Begun | None = None
        self._bucket: str | None = None
        self.outcome: str | None = None
        """Set it (`ok`, `denied`, `error`, `unknown`) where the block knows better."""

    @property
    def number(self) -> int | None:
        """The number of this use in its source; None before it began."""
        return self._begun.number if self._begun else None

    def count(self, records: int) -> None:
        """Say how many records the use gave; the ledger keeps the order of magnitude."""
        self._bucket = next((name for limit, name in BUCKETS if records <= limit), "1000+")

    def _begin(self) -> None:
        alliance = self._alliance
        with alliance._sending:
            self._begun = alliance._outbox.begin(
                alliance._session, alliance.system, self._fields, clock_ms()
            )
        self.id = self._begun.draft.id

    def _end(self, error: BaseException | None) -> bool:
        if self._begun is None:
            return False
        ending = ending_of(self.outcome or _outcome_of(error), clock_ms())
        if self._bucket is not None:
            ending["count_bucket"] = self._bucket
        self.leaf = self._begun.end(ending)
        return True


class Run(Pending):
    """One run of an analysis: what it used, what it made, how it ended."""

    def __init__(self, alliance: Alliance, fields: Mapping[str, object]) -> None:
        super().__init__(alliance)
        self._fields = fields
        self._begun: Begun | None = None
        self._used: list[dict[str, str]] = []
        self._generated: list[str] = []
        self._code: str | None = None
        self.state: str | None = None
        """Set it (`completed`, `failed`, `aborted`) where the block knows better."""
        self.exit_code: int | None = None
        """What a program left with, where the run was one."""

    def used(self, dataset: str, *paths: AnyPath) -> None:
        """A dataset that the run uses (`SERIES` or `SERIES@VERSION`), with the files that hold it.

        Raises `ConflictError` (X5.content) for files that are not the version that was registered,
        and `ConfigError` (X1.file).
        """
        used = {"kind": "dataset", "name": dataset}
        if paths:
            used["digest"] = content_digest(_prints(paths))[0]
            registered = self._alliance.registered(dataset)
            if registered is not None and registered != used["digest"]:
                file = ", ".join(Path(path).name for path in paths)
                raise ConflictError("X5.content", file=file, dataset=dataset)
        self._used.append(used)

    def used_result(self, name: str) -> None:
        """A registered result that the run uses."""
        self._used.append({"kind": "result", "name": name})

    def used_file(self, *paths: AnyPath) -> None:
        """Files, or whole directories, that are no registered data. Raises `ConfigError`
        (X1.file).
        """
        for path in paths:
            digest = content_digest(_prints([path]))[0]
            self._used.append({"digest": digest, "kind": "file"})

    def code(self, *paths: AnyPath) -> None:
        """The files of the program. Raises `ConfigError` (X1.file)."""
        self._code = content_digest(_prints(paths))[0]

    def made(self, *paths: AnyPath) -> None:
        """Files, or whole directories, that came out. Raises `ConfigError` (X1.file)."""
        prints = _prints(paths)
        if len(self._generated) + len(prints) > MOST_GENERATED:
            self._generated.append(content_digest(prints)[0])
        else:
            self._generated += [b64url(one.digest) for one in prints]

    def _known(self) -> dict[str, object]:
        unique = {(one["kind"], one.get("name"), one.get("digest")): one for one in self._used}
        return {
            "code_digest": self._code,
            "generated": sorted(set(self._generated)) or None,
            "used": list(unique.values()) or None,
        }

    def _begin(self) -> None:
        alliance = self._alliance
        fields = {**self._fields, **self._known()}
        with alliance._sending:
            self._begun = alliance._outbox.begin_run(alliance._session, fields, clock_ms())
        self.id = self._begun.draft.id

    def _end(self, error: BaseException | None) -> bool:
        if self._begun is None:
            return False
        now = clock_ms()
        ending = {
            **self._known(),
            "ended": encode_time(now),
            "exit_code": self.exit_code,
            "state": self.state or _state_of(error),
        }
        self.leaf = self._begun.end(ending, now)
        return True


class Result(Pending):
    """A result of runs, bound to its files."""

    def __init__(
        self,
        alliance: Alliance,
        name: str,
        study: str,
        kind: str,
        rests_on: tuple[tuple["Run | str", ...], tuple[str, ...], str | None],
    ) -> None:
        super().__init__(alliance)
        self._name, self._study, self._kind = name, study, kind
        self._runs, self._indicators, self._supersedes = rests_on
        self._fields: dict[str, object] = {}
        self._files: list[AnyPath] = []

    def file(self, *paths: AnyPath) -> None:
        """Files, or whole directories, that are the result; read when the block ends."""
        self._files += paths

    def _begin(self) -> None:
        """Everything that it rests on is looked for before the work, not after it."""
        alliance, session = self._alliance, self._alliance._session
        with alliance._sending:
            leaf_of = alliance._outbox.leaf_of
            self._fields = {
                "generated_by": [self._run_leaf(run) for run in self._runs],
                "indicators": [
                    leaf_of("object", one, lambda name: object_leaf(session, name))
                    for one in self._indicators
                ],
                "kind": self._kind,
                "result_id": self._name,
                "study": leaf_of("study", self._study, lambda name: study_leaf(session, name)),
            }
            if self._supersedes is not None:
                self._fields["supersedes"] = leaf_of(
                    "object", self._supersedes, lambda name: object_leaf(session, name)
                )

    def _run_leaf(self, run: "Run | str") -> str:
        """Raises `MalformedError` (X2) for a run that has not ended."""
        if isinstance(run, str):
            return self._alliance._outbox.leaf_of("record", run, self._alliance._session.leaf_of)
        if run.leaf is None:
            raise MalformedError("X2", field="runs")
        return run.leaf

    def _end(self, error: BaseException | None) -> bool:
        if error is not None:
            return False
        prints = _prints(self._files)
        fields = {
            **self._fields,
            "content_digest": content_digest(prints)[0],
            "files": [described(one) for one in prints],
        }
        alliance = self._alliance
        with alliance._sending:
            signed = alliance._outbox.put(alliance._session, "result", fields)
        self.id, self.leaf = signed.id, b64url(signed.leaf)
        return True


def _prints(paths: Iterable[AnyPath]) -> list[Fingerprint]:
    return fingerprints(Path(path) for path in paths)


def _outcome_of(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return "denied" if isinstance(error, PermissionError) else "error"


def _state_of(error: BaseException | None) -> str:
    if error is None:
        return "completed"
    return "aborted" if isinstance(error, INTERRUPTIONS) else "failed"
