"""A report as a printable page, in both languages: one HTML file that loads nothing."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from cli.certificate_page import Page, Section, Table, as_html
from cli.certificate_texts import Text
from cli.question_texts import QUESTION_TEXTS
from ledger.encoding import b64url, encode_time
from ledger.errors import ensure

LONG: Final = frozenset({
    "action", "datasets", "detail", "findings", "name", "obligations", "org", "parties", "party",
    "person", "pools", "publications", "reviewers", "roles",
})  # fmt: skip
"""Columns of long words: twice as wide as the others."""
SHORT: Final = 12
"""Characters of a hash that are printed in a table; the file of proofs has all of it."""


def page_of_report(
    report: Mapping[str, Any],
    columns: Sequence[str],
    facts: Sequence[tuple[str, str]],
    shown: Callable[[str, object], str],
) -> str:
    """The page of an answer; its QR code carries the root that it was counted at."""
    head = report["head"]
    return as_html(
        Page(
            title=QUESTION_TEXTS[f"title-{report['report']}"],
            issuer=Text(f"Alliance chain {head['origin']}", f"联盟链 {head['origin']}"),
            number=f"{report['question']} {report['report']}".strip(),
            status=encode_time(head["time_ms"]),
            code=_code(report),
            sections=(
                _about(report, facts),
                _rows(report["rows"], columns, shown),
                Section(
                    QUESTION_TEXTS["report-notes-title"],
                    lines=tuple(Text(note["en"], note["zh"]) for note in report["notes"]),
                ),
            ),
            wide=True,
        )
    )


def _code(report: Mapping[str, Any]) -> str:
    head = report["head"]
    text = head["checkpoint"]
    digest = b64url(sha256(text.encode()).digest())
    origin = head["origin"]
    return f"alliance-report/1 {report['report']} origin={origin} size={head['size']} head={digest}"


def _about(report: Mapping[str, Any], facts: Sequence[tuple[str, str]]) -> Section:
    head, texts = report["head"], QUESTION_TEXTS
    place = texts["report-page-place"]
    at = {"height": head["height"], "size": head["size"], "time": encode_time(head["time_ms"])}
    policy = f"{report['policy']['version']}  {report['policy']['leaf']}"
    known = tuple((texts[f"fact-{name}"], value) for name, value in facts)
    return Section(
        texts["report-about"],
        (
            (
                texts["report-page-head"],
                Text(place.en.format_map(at), place.zh.format_map(at)),
            ),
            (texts["report-page-policy"], policy),
            *known,
            (texts["report-page-proofs"], texts["report-page-proofs-how"]),
        ),
    )


def _rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    shown: Callable[[str, object], str],
) -> Section:
    ensure(bool(columns), "a report has columns")
    total = sum(map(_weight, columns))
    return Section(
        QUESTION_TEXTS["report-rows-title"],
        table=Table(
            tuple(QUESTION_TEXTS[f"report-{name}"] for name in columns),
            tuple(100 * _weight(name) // total for name in columns),
            tuple(tuple(_cell(name, row, shown) for name in columns) for row in rows),
        ),
    )


def _weight(name: str) -> int:
    return 2 if name in LONG else 1


def _cell(name: str, row: Mapping[str, Any], shown: Callable[[str, object], str]) -> str:
    if name == "records":
        return " ".join(leaf[:SHORT] for leaf in row.get(name, ())[:4])
    return shown(name, row.get(name))
