"""Which subject logs a record joins: derived from its type and body, never declared (definitions.md
3; SPEC S13).
"""

from collections.abc import Callable, Mapping

from ledger.encoding import b64url, unb64url
from ledger.records.catalogue import DatasetBody, DatasetVersionBody
from ledger.records.envelope import Record
from ledger.records.epochs import ConfigBody, EndpointBody, EvidenceBody, ReadyBody
from ledger.records.governance import EndorseBody, KeyBody, MemberBody, ResolutionBody
from ledger.records.use import (
    AccessBatchBody,
    AccessBody,
    AccessEvent,
    CorrectionBody,
    SourceCloseBody,
)
from ledger.rules.draft import Located

Resolved = Mapping[bytes, Located | None]


def subjects_of(org: str, record: Record, resolved: Resolved) -> tuple[str, ...]:  # type: ignore[type-arg]
    """The subjects of a record, first one first; the last is always its organisation."""
    first = SUBJECTS[record.type](record.body, resolved)
    mine = f"org:{org}"
    return first if mine in first else (*first, mine)


def of_access(body: AccessBody | AccessEvent) -> tuple[str, ...]:
    """An access concerns its dataset (and series, when a version is named), its person and its
    permit.
    """
    subjects = [f"dataset:{body.dataset}"]
    series, at, _version = body.dataset.partition("@")
    if at:
        subjects.append(f"dataset:{series}")
    if body.person:
        subjects.append(f"person:{body.person}")
    if body.permit:
        subjects.append(f"permit:{body.permit}")
    return tuple(subjects)


def _of_batch(body: AccessBatchBody, _resolved: Resolved) -> tuple[str, ...]:
    """All that `of_access` gives for its events, worked out for each field once."""
    events = body.events
    systems = {event.source.system for event in events}
    if body.summary:
        systems.add(body.summary.system)
    datasets = {event.dataset for event in events}
    datasets |= {name.partition("@")[0] for name in datasets}
    persons = {event.person for event in events if event.person}
    permits = {event.permit for event in events if event.permit}
    return (
        *(f"source:{system}" for system in sorted(systems)),
        *sorted(f"dataset:{dataset}" for dataset in datasets),
        *sorted(f"permit:{permit}" for permit in permits),
        *sorted(f"person:{person}" for person in persons),
    )


def _of_target(target: str, resolved: Resolved) -> tuple[str, ...]:
    found = resolved.get(unb64url(target, 32))
    return (f"record:{target}", found.sub) if found else (f"record:{target}",)


def _of_endorse(body: EndorseBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_target(body.target, resolved)


def _of_correction(body: CorrectionBody, resolved: Resolved) -> tuple[str, ...]:
    return _of_target(body.target, resolved)


def _of_key(body: KeyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"key:{body.kid}",)


def _of_member(body: MemberBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"org:{body.org}",)


def _of_resolution(body: ResolutionBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"resolution:{body.no}",)


def _of_dataset(body: DatasetBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"dataset:{body.series_id}",)


def _of_version(body: DatasetVersionBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"dataset:{body.series_id}@{body.version}", f"dataset:{body.series_id}")


def _of_config(body: ConfigBody, _resolved: Resolved) -> tuple[str, ...]:
    return ("config", f"config:{b64url(body.config.config_hash)}")


def _of_ready(body: ReadyBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"config:{body.config_hash}",)


def _of_endpoint(body: EndpointBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"org:{body.org}",)


def _of_evidence(body: EvidenceBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"voter:{body.epoch}/{body.first.signer}",)


def _of_close(body: SourceCloseBody, _resolved: Resolved) -> tuple[str, ...]:
    return (f"source:{body.system}",)


SUBJECTS: dict[str, Callable[..., tuple[str, ...]]] = {
    "access": lambda body, _resolved: of_access(body),
    "access-batch": _of_batch,
    "config": _of_config,
    "correction": _of_correction,
    "dataset": _of_dataset,
    "dataset-version": _of_version,
    "endorse": _of_endorse,
    "endpoint": _of_endpoint,
    "evidence": _of_evidence,
    "founder-acceptance": lambda _body, _resolved: ("alliance",),
    "genesis": lambda _body, _resolved: ("alliance",),
    "key": _of_key,
    "member": _of_member,
    "policy": lambda _body, _resolved: ("policy",),
    "ready": _of_ready,
    "resolution": _of_resolution,
    "source-close": _of_close,
}
