"""The printable certificate: what a verified file says, as sections in both languages, and as one
HTML page. `cli.certificate_pdf` draws the same sections.
"""

from html import escape
from io import BytesIO
from typing import Final, NamedTuple

import segno

from cli.certificate_texts import LIMITS, RIGHTS_TEXTS, Text
from cli.screen import printable
from ledger.attribution import DATASET, INDICATOR, RESULT, RUN
from ledger.certificates import VerifiedCertificate
from ledger.chain import Applied
from ledger.encoding import b64url, encode_time
from ledger.records.authorisation import AccessDecisionBody, AccessRequestBody
from ledger.records.catalogue import DatasetVersionBody
from ledger.records.governance import GenesisBody
from ledger.records.outputs import PublicationBody, ResultBody
from ledger.records.rights import NoticeBody
from ledger.records.use import ComputeRunBody
from ledger.rules.graph import party_name
from ledger.rules.standing import EthicsState, status_at

Pair = tuple[Text, str | Text]
"""A label and its value; a value that is a sentence has both languages."""


class Table(NamedTuple):
    """Rows under labels, the wide columns marked by their share of the width."""

    columns: tuple[Text, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(NamedTuple):
    """One part of the page."""

    title: Text
    pairs: tuple[Pair, ...] = ()
    table: Table | None = None
    lines: tuple[Text, ...] = ()


class Page(NamedTuple):
    """The whole page: title, who issued it, the sections, and what the QR code carries."""

    title: Text
    issuer: Text
    number: str
    status: str
    code: str
    sections: tuple[Section, ...]
    wide: bool = False
    """Landscape, for tables of many columns."""


def _say(name: str, **facts: str | int) -> Text:
    text = RIGHTS_TEXTS[name]
    return Text(text.en.format_map(facts), text.zh.format_map(facts))


def page_of(found: VerifiedCertificate, genesis: Applied, check_at: str | None = None) -> Page:
    """The page of a verified certificate. `check_at` is an address that the QR code names."""
    alliance = _alliance(genesis)
    return Page(
        title=_say("page-title"),
        issuer=Text(
            f"{_say('page-issuer').en} {alliance.en}", f"{alliance.zh} {_say('page-issuer').zh}"
        ),
        number=found.body.cert_no,
        status=found.status + (" · DISPUTED" if found.disputed else ""),
        code=code_of(found, genesis, check_at),
        sections=(
            _summary(found, check_at),
            _object(found),
            *_statements(found),
            _rights(found),
            _provenance(found),
            _outgoing(found),
            _data(found),
            _obligations(found),
            _acknowledgements(found),
            _shares(found),
            _notice(found),
            _evidence(found, genesis),
            Section(_say("page-limits"), lines=tuple(_say(f"no-limits-{name}") for name in LIMITS)),
        ),
    )


def code_of(found: VerifiedCertificate, genesis: Applied, check_at: str | None) -> str:
    """What the QR code says: the certificate's hash, the chain, and where to check."""
    leaf, pin = b64url(found.own.entry.leaf), b64url(genesis.seal.leaf)
    where = check_at or f"origin={genesis.tip.origin}"
    return f"alliance-certificate/1 no={found.body.cert_no} leaf={leaf} pin={pin} check={where}"


def _alliance(genesis: Applied) -> Text:
    body = genesis.entries[0].record.body
    if isinstance(body, GenesisBody):
        return Text(body.alliance.en, body.alliance.zh)
    return Text(genesis.tip.origin, genesis.tip.origin)


def _suite(genesis: Applied) -> str:
    body = genesis.entries[0].record.body
    return body.suite if isinstance(body, GenesisBody) else "-"


def _summary(found: VerifiedCertificate, check_at: str | None) -> Section:
    body = found.body
    where: tuple[Pair, ...] = ((_say("page-check-at"), check_at),) if check_at else ()
    pairs: tuple[Pair, ...] = (
        (_say("page-no"), body.cert_no),
        (_say("page-status"), found.status + ("".join(f" · DISPUTED {d}" for d in found.disputed))),
        (_say("page-as-of"), body.as_of),
        (_say("page-issued"), encode_time(found.own.time_ms)),
        (_say("page-until"), body.valid_until),
        (_say("page-language"), "中文, English"),
    )
    return Section(_say("page-title"), (*pairs, *where))


def titled(found: VerifiedCertificate, leaf: str, name: str) -> str:
    """A name on the chain, with the title that was disclosed for it."""
    kind = found.records[leaf].entry.record.type
    title = found.disclosed.get((leaf, f"{kind}/title"))
    return f"{name}  {title}" if title else name


def named(found: VerifiedCertificate) -> dict[str, str]:
    """How people who consented are named, by their party (`pid:...`)."""
    return {
        part.party: name
        for node in found.calculation.nodes
        for part in node.parts
        if (name := found.disclosed.get((part.leaf, "contribution/name"))) is not None
    }


def _object(found: VerifiedCertificate) -> Section:
    entry = found.records[found.body.object].entry
    body = entry.record.body
    names = {node.leaf: node.name for node in found.calculation.nodes}
    pairs: list[Pair] = [
        (_say("page-kind"), found.body.object_kind),
        (_say("page-name"), names[found.body.object]),
    ]
    title = found.disclosed.get((found.body.object, f"{entry.record.type}/title"))
    if title is not None:
        pairs.append((_say("page-object-title"), title))
    pairs += [
        (_say("page-pid"), f"{one.pid_type}:{one.pid_value}  {one.published_on}")
        for one in _publications(found)
    ]
    if isinstance(body, DatasetVersionBody | ResultBody):
        pairs.append((_say("page-digest"), body.content_digest))
    if isinstance(body, ResultBody):
        pairs += [
            (_say("page-files"), f"{one.digest}  {one.media}  {one.size_bucket}")
            for one in body.files
        ]
    return Section(_say("page-object"), tuple(pairs))


def _publications(found: VerifiedCertificate) -> list[PublicationBody]:
    """Where the object appeared, as far as the file tells."""
    bodies = (record.entry.record.body for record in found.records.values())
    return [
        body
        for body in bodies
        if isinstance(body, PublicationBody) and body.result == found.body.object
    ]


STATEMENTS: Final = ("source", "processing", "scenario", "update-period")


def _statements(found: VerifiedCertificate) -> tuple[Section, ...]:
    """What registration of data as intellectual property asks for, as the issuer stated it."""
    leaf = b64url(found.own.entry.leaf)
    pairs: tuple[Pair, ...] = tuple(
        (_say(f"page-{name}"), text)
        for name in STATEMENTS
        if (text := found.disclosed.get((leaf, f"certificate/{name}"))) is not None
    )
    return (Section(_say("page-statements"), pairs),) if pairs else ()


def _rights(found: VerifiedCertificate) -> Section:
    rows = tuple(
        (
            right.right,
            party_name(right.holder),
            right.scope + (f" / {right.territory}" if right.territory else ""),
            right.until or "-",
            "✓" if right.exclusive else "-",
            right.basis,
        )
        for right in found.body.rights
    )
    names = ("right", "holder", "scope", "term", "exclusive", "basis")
    columns = tuple(_say(f"page-{name}") for name in names)
    people = named(found)
    authors = [
        people.get(part.party, part.party)
        for node in found.calculation.nodes
        if node.leaf == found.body.object
        for part in node.parts
        if part.role in ("analyst", "author", "contributor")
    ]
    # Authorship is a line of its own: it is no right that could be handed on.
    authorship: tuple[Pair, ...] = ((_say("page-authorship"), ", ".join(authors) or "-"),)
    table = Table(columns, (16, 22, 18, 12, 8, 24), rows)
    return Section(_say("page-rights"), authorship, table)


KINDS: Final = {
    DATASET: "dataset",
    RUN: "run",
    INDICATOR: "indicator",
    RESULT: "result",
    "access-decision": "permit",
    "study": "study",
}


def _provenance(found: VerifiedCertificate) -> Section:
    pairs: list[Pair] = []
    used = [
        edge
        for node in found.calculation.nodes
        if node.kind == RUN
        for edge in node.edges
        if edge.rel == "used"
    ]
    for kind, name in KINDS.items():
        for node in found.calculation.nodes:
            if node.kind == kind:
                who = {part.role: part.party for part in node.parts}
                note = who.get("custodian") or who.get("compute_provider")
                shown = titled(found, node.leaf, node.name) + (f"  ({note})" if note else "")
                pairs.append((_say(f"page-{name}"), shown + _code_of(found, node.leaf)))
    now = found.head.seal.seal.time_ms
    for name, state in sorted(found.ethics.items()):
        pairs.append((_say("page-ethics"), _ethics_line(name, state, now)))
    counted = sum(edge.counts for edge in used)
    pairs.append((_say("page-coverage"), _say("page-coverage-of", n=counted, m=len(used))))
    return Section(_say("page-provenance"), tuple(pairs))


def _code_of(found: VerifiedCertificate, leaf: str) -> str:
    """The digest of the program of a run."""
    body = found.records[leaf].entry.record.body
    code = body.code_digest if isinstance(body, ComputeRunBody) else None
    return f"\nSHA-256 {code}" if code else ""


def _ethics_line(name: str, state: EthicsState, now_ms: int) -> str:
    first, last = encode_time(state.from_ms)[:10], encode_time(state.until_ms)[:10]
    return f"{name}  ({state.committee_org})  {first} – {last}  {status_at(state.spans, now_ms)}"


def _outgoing(found: VerifiedCertificate) -> Section:
    """What of the object left the alliance, and who reviewed it."""
    pairs: list[Pair] = []
    for name, state in sorted(found.egress.items()):
        reviewers = ", ".join(f"{one.reviewer} ({one.org})" for one in state.reviews) or "-"
        released = f"{len(state.released)}/{len(state.files)}"
        pairs.append((_say("page-egress"), f"{name}  {state.status}  {released}"))
        pairs.append((_say("page-reviewers"), reviewers))
    lines = () if pairs else (_say("page-nothing"),)
    return Section(_say("page-outgoing"), tuple(pairs), lines=lines)


def _data(found: VerifiedCertificate) -> Section:
    """How the data are classified; what was assessed; and where the runs took place."""
    rows: list[tuple[str, ...]] = []
    for record in found.records.values():
        body = record.entry.record.body
        if isinstance(body, DatasetVersionBody):
            hgr = "-" if not body.hgr_info else body.hgr_no or "✓"
            rows.append(
                (
                    f"{body.series_id}@{body.version}",
                    body.class_level,
                    str(body.gbt39725_level),
                    body.identifiability,
                    hgr,
                    ", ".join(term.code for term in body.terms) or "-",
                )
            )
    names = ("dataset", "class", "level", "identifiability", "hgr", "terms")
    columns = tuple(_say(f"page-{name}") for name in names)
    table = Table(columns, (24, 12, 14, 14, 12, 24), tuple(rows))
    return Section(_say("page-data"), _compliance(found), table)


def _compliance(found: VerifiedCertificate) -> tuple[Pair, ...]:
    """Impact assessments by their commitments; runs that were not at a member's are findings."""
    pairs: list[Pair] = [
        (_say("page-impact"), f"{record.entry.record.body.request_id}  {payload.commit}")
        for record in found.records.values()
        if isinstance(record.entry.record.body, AccessRequestBody)
        for payload in record.entry.record.payloads
        if payload.schema == "access-request/impact-assessment"
    ]
    runs = [
        record
        for record in found.records.values()
        if isinstance(record.entry.record.body, ComputeRunBody)
    ]
    inside = sum("NODE_NOT_MEMBER" not in record.findings for record in runs)
    said = "page-inside-all" if inside == len(runs) else "page-coverage-of"
    pairs.append((_say("page-inside"), _say(said, n=inside, m=len(runs))))
    return tuple(pairs)


def _obligations(found: VerifiedCertificate) -> Section:
    """What the permits ask for; whether it was done is a question to a node."""
    rows = tuple(
        (body.permit_id or "-", owed.code, ", ".join(owed.params) or "-", owed.due or "-")
        for record in found.records.values()
        if isinstance(body := record.entry.record.body, AccessDecisionBody)
        for owed in body.obligations
    )
    columns = tuple(_say(f"page-{name}") for name in ("permit", "code", "params", "due"))
    lines = () if rows else (_say("page-nothing"),)
    table = Table(columns, (25, 25, 30, 20), rows) if rows else None
    names = {node.leaf: node.name for node in found.calculation.nodes}
    pairs: tuple[Pair, ...] = tuple(
        (_say(f"page-{kind}"), f"{names[leaf]}: {text}")
        for kind in ("acknowledgement", "citation")
        for (leaf, schema), text in sorted(found.disclosed.items())
        if schema == f"dataset-version/{kind}" and leaf in names
    )
    return Section(_say("page-obligations"), pairs, table, lines)


def _acknowledgements(found: VerifiedCertificate) -> Section:
    names = {node.leaf: node.name for node in found.calculation.nodes}
    people = named(found)
    rows = tuple(
        (
            "  ".join((people[row.party], row.party)) if row.party in people else row.party,
            row.local_role or row.credit_role or row.role,
            row.degree or "-",
            row.contributor_type,
            names[row.object],
        )
        for row in found.calculation.acknowledgements
    )
    columns = tuple(_say(f"page-{name}") for name in ("party", "role", "degree", "type", "object"))
    return Section(_say("page-acknowledgements"), table=Table(columns, (30, 20, 12, 18, 20), rows))


def _shares(found: VerifiedCertificate) -> Section:
    shares = found.calculation.shares
    order = sorted(shares.rows, key=lambda row: (-row.basis_points, row.party))
    rows = tuple((row.party, str(row.basis_points), pools_text(row.pools)) for row in order)
    columns = (_say("page-party"), _say("page-points"), _say("page-pools"))
    pairs: tuple[Pair, ...] = (
        (_say("page-policy"), found.calculation.policy),
        (_say("page-calculation"), found.body.calc_digest),
    )
    return Section(_say("page-shares"), pairs, Table(columns, (40, 14, 46), rows))


def pools_text(pools: dict[str, int]) -> str:
    """`holding 1400, compute 250`: basis points with up to three decimals, cut off."""
    return ", ".join(f"{name} {milli(value)}" for name, value in sorted(pools.items()))


def milli(value: int) -> str:
    """Thousandths as a decimal number without trailing zeros."""
    return f"{value // 1000}.{value % 1000:03}".rstrip("0").rstrip(".")


def _notice(found: VerifiedCertificate) -> Section:
    body = found.notice.entry.record.body
    outcome: str | Text = ", ".join(found.disputed) or _say("page-none")
    pairs: list[Pair] = []
    if isinstance(body, NoticeBody):
        pairs = [
            (_say("page-no"), body.notice_id),
            (_say("page-opens"), body.opens),
            (_say("page-closes"), body.closes),
        ]
    if found.body.supersedes is not None:
        pairs.append((_say("page-supersedes"), found.body.supersedes))
    return Section(_say("page-notice"), (*pairs, (_say("page-outcome"), outcome)))


def _evidence(found: VerifiedCertificate, genesis: Applied) -> Section:
    own, head = found.own, found.head
    approving = [vote for vote in found.decision.votes if vote.verdict == "approve"]
    pairs: tuple[Pair, ...] = (
        (_say("page-leaf"), b64url(own.entry.leaf)),
        (_say("page-place"), _say("page-place-of", index=own.index, height=own.height)),
        (
            _say("page-head"),
            _say("page-head-of", size=head.checkpoint.size, root=b64url(head.checkpoint.root)),
        ),
        (_say("page-cosigners"), ", ".join(org for org, _time in head.cosigners)),
        (_say("page-approved"), ", ".join(f"{vote.org} ({vote.capacity})" for vote in approving)),
        (_say("page-pin"), b64url(genesis.seal.leaf)),
        (_say("page-suite"), f"{_suite(genesis)}, alliance-certificate/1"),
        (_say("page-verify"), _say("page-verify-how")),
    )
    return Section(_say("page-evidence"), pairs)


# --- HTML ---

STYLE: Final = """
@page { size: A4; margin: 14mm; }
body { font: 10pt/1.45 "Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei",
  sans-serif; color: #1a1a1a; max-width: 182mm; margin: 8mm auto; }
header { display: flex; justify-content: space-between; border-bottom: 2pt solid #8a1c1c; }
h1 { font-size: 20pt; margin: 0; } h1 small { display: block; font-size: 11pt; color: #555; }
.status { font-weight: bold; color: #8a1c1c; }
h2 { font-size: 11pt; margin: 5mm 0 1.5mm; color: #8a1c1c; break-after: avoid; }
table { border-collapse: collapse; width: 100%; } tr { break-inside: avoid; }
td, th { text-align: left; vertical-align: top; padding: 0.8mm 2mm; overflow-wrap: anywhere; }
th { font-weight: normal; color: #555; } .rows td, .rows th { border: 0.4pt solid #bbb; }
.pairs th { width: 52mm; } svg.qr { width: 34mm; height: 34mm; }
@media screen { body { padding: 0 4mm; } }
"""
WIDE_STYLE: Final = """
@page { size: A4 landscape; margin: 10mm; }
body { max-width: 277mm; font-size: 8pt; } .pairs th { width: 62mm; }
.rows td, .rows th { padding: 0.5mm 1mm; }
"""


def as_html(page: Page) -> str:
    """One self-contained page: nothing is loaded from anywhere."""
    style = STYLE + (WIDE_STYLE if page.wide else "")
    parts = [
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">',
        f"<title>{_text(page.number)} {_text(page.title.zh)}</title><style>{style}</style></head>",
        f"<body><header><div><h1>{_text(page.title.zh)}<small>{_text(page.title.en)}</small></h1>",
        f"<p>{_text(page.issuer.zh)}<br>{_text(page.issuer.en)}</p>",
        f'<p class="status">{_text(page.number)} · {_text(page.status)}</p></div>',
        f"<div>{qr_svg(page.code)}</div></header>",
    ]
    for section in page.sections:
        parts.append(f"<h2>{_text(section.title.zh)} {_text(section.title.en)}</h2>")
        if section.pairs:
            parts.append(f'<table class="pairs">{"".join(map(_pair, section.pairs))}</table>')
        if section.table is not None:
            parts.append(_table(section.table))
        parts += [f"<p>{_text(line.zh)}<br>{_text(line.en)}</p>" for line in section.lines]
    return "".join(parts) + "</body></html>\n"


def _text(value: str) -> str:
    return escape(printable(value))


def _pair(pair: Pair) -> str:
    label, value = pair
    shown = _text(value) if isinstance(value, str) else f"{_text(value.zh)}<br>{_text(value.en)}"
    return f"<tr><th>{_text(label.zh)} {_text(label.en)}</th><td>{shown}</td></tr>"


def _table(table: Table) -> str:
    head = "".join(
        f'<th style="width:{width}%">{_text(label.zh)}<br>{_text(label.en)}</th>'
        for label, width in zip(table.columns, table.widths, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def qr_svg(code: str) -> str:
    """The QR code as an SVG element."""
    return segno.make(code, error="m", micro=False).svg_inline(
        border=2, svgclass="qr", omitsize=True
    )


def qr_png(code: str) -> BytesIO:
    """The QR code as a picture."""
    picture = BytesIO()
    segno.make(code, error="m", micro=False).save(picture, kind="png", scale=8, border=2)
    picture.seek(0)
    return picture
