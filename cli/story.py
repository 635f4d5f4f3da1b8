"""One whole life of a data use, from the registered data to a certificate that a stranger checks.

Two hospitals and a data centre share data on sepsis; a real script computes on real files.
Every sentence is a command that a person in that office types. The story stops with X6.story where
a step does not show what it should.
"""

import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import typer

from cli.life import House, Life
from cli.screen import say
from cli.statements import DAY_MS, clock_ms
from ledger.encoding import encode_time
from ledger.errors import RefusedError, unreachable
from ledger.records.governance import DEFAULT_ATTRIBUTION

STUDY: Final = "SEPSIS-2026"
REQUEST: Final = "REQ-1"
PERMIT: Final = "P-1"
RESULT: Final = "RES-1"
CERTIFICATE: Final = "CERT-1"
STANDARD: Final = "sepsis-standard@1"
INDICATOR: Final = "sofa-24h@1"
RESOLUTION: Final = "2026-11"
PURPOSE: Final = "DUO:0000040"
PATIENCE_S: Final = (3, 15, 60)
"""How long the notice is open: the shortest that the machine is fast enough for."""

TRIES: Final = 30
"""So many seconds members have to fetch each other's titles."""

COHORTS: Final = {
    "hospital": "case,sofa,lactate,died\n1,7,2.1,0\n2,11,5.6,1\n3,4,1.2,0\n4,9,3.9,1\n",
    "clinic": "case,sofa,lactate,died\n1,5,1.7,0\n2,12,6.3,1\n3,8,2.8,0\n",
}
"""Invented patients."""
SOFA: Final = "SOFA score, the worst of the first 24 hours.\n"
SCRIPT: Final = '''"""Mortality by SOFA class: reads the standard data, writes one small table."""

import csv
import sys

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
with open(sys.argv[2], "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(("sofa", "died"))
    for name, low, high in (("0-7", 0, 7), ("8-24", 8, 24)):
        group = [int(row["died"]) for row in rows if low <= int(row["sofa"]) <= high]
        table.writerow((name, f"{sum(group) / len(group):.2f}"))
print(f"{len(rows)} rows read")
'''
TITLES: Final = {
    "hospital": "Sepsis, the hospital's cases",
    "clinic": "Sepsis, the second hospital's cases",
    "standard": "Sepsis standard data 脓毒症标准数据集",
    "study": "Mortality in sepsis by SOFA class 脓毒症病死率研究",
    "result": "Table of mortality by SOFA class 病死率表",
}
"""What people write goes to the vault; records commit to it."""
THANKS: Final = "We thank the intensive care units of both hospitals."
ANALYST: Final = "Li Xiaoyan 李晓燕"
"""The one person of the story who consents to being named on certificates."""
CHECKED: Final = {
    "version": "1.0.2",
    "results": {
        "output_0": {
            "uid": "output_0",
            "status": "pass",
            "fair": {"statbarn": "frequencies", "check_status": {"threshold": "pass"}},
        }
    },
}
"""What the disclosure check (acro) says of the table."""
TERMS: Final = ("--term", "DUO:0000007=icd10:A41", "--term", "DUO:0000019", "--term", "EC:EGRESS2")
"""For research on sepsis alone; publish; two reviewers before anything leaves."""


class People(NamedTuple):
    """The pseudonyms of this study's people: random, never derived from anything."""

    lead: str
    analyst: str
    clinician: str
    author: str


def tell(life: Life) -> None:
    """The whole story. Raises what a command raises, or `ProofError` (X6.story)."""
    cast = life.cast
    life.folder.mkdir()
    if not cast.is_alone:
        houses = {"hospital": cast.hospital.org, "clinic": cast.clinic.org}
        typer.echo("\n" + say("story-cast", **houses, centre=cast.centre.org))
    people = People(*(secrets.token_hex(16) for _ in People._fields))
    _people(life, people)
    _data(life)
    _study(life, people)
    _request(life)
    _decision(life)
    run = _analysis(life, people)
    _outside(life)
    _result(life, run)
    _credit(life)
    _certificate(life)
    _stranger(life)


def _people(life: Life, people: People) -> None:
    """Keys of the people and offices that take part."""
    cast = life.cast
    life.act("story-people")
    for house, name, capacity, subject in (
        (cast.hospital, "ethics", "ethics", "ethics-office"),
        (cast.hospital, "lead", "self", people.lead),
        (cast.hospital, "analyst", "self", people.analyst),
        (cast.hospital, "clinician", "self", people.clinician),
        (cast.clinic, "author", "self", people.author),
        (cast.clinic, "checker", "checker", "checker-1"),
        (cast.centre, "checker-2", "checker", "checker-2"),
    ):
        life.new_key(house, name, capacity, subject)


def _data(life: Life) -> None:
    """Two cohorts, the standard dataset derived from both, an indicator."""
    cast = life.cast
    life.act("story-data")
    sources = []
    for house, name in ((cast.hospital, "hospital"), (cast.clinic, "clinic")):
        file = life.folder / f"sepsis-{name}.csv"
        file.write_text(COHORTS[name], encoding="utf-8")
        series = f"sepsis-{name}"
        life.do(house, "officer", "dataset", "register", series, "--openness", "conditional")
        titled = ("--title", TITLES[name], "--acknowledgement", THANKS)
        done = life.do(house, "officer", "version", "register", series, "1", file, *TERMS, *titled)
        sources.append(done["leaf"])
    standard = life.folder / "sepsis-standard.csv"
    head = COHORTS["hospital"].splitlines()[0]
    rows = [line for text in COHORTS.values() for line in text.splitlines()[1:]]
    standard.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    life.do(
        cast.centre, "officer", "dataset", "register", "sepsis-standard", "--openness",
        "conditional",
    )  # fmt: skip
    derived = life.do(
        cast.centre, "officer", "version", "register", "sepsis-standard", "1", standard, *TERMS,
        "--title", TITLES["standard"], "--citation", "Sepsis standard data, version 1 (2026).",
        *(word for leaf in sources for word in ("--source", leaf)),
    )  # fmt: skip
    life.agree(derived["leaf"], [(cast.hospital, "officer"), (cast.clinic, "officer")])
    definition = life.folder / "sofa-24h.txt"
    definition.write_text(SOFA, encoding="utf-8")
    life.do(cast.clinic, "officer", "indicator", "register", "sofa-24h", "1", definition)


def _study(life: Life, people: People) -> None:
    """The study, with its principal investigator's own signature; what the ethics office says."""
    cast = life.cast
    hospital = cast.hospital
    life.act("story-study", study=STUDY)
    design = life.folder / "design.txt"
    design.write_text("A retrospective cohort of two houses.\n", encoding="utf-8")
    today, end = _days(0), _days(365)
    done = life.do(
        hospital, "officer", "study", "register", STUDY, "--pi", f"{hospital.org}={people.lead}",
        "--member", f"analyst:{hospital.org}={people.analyst}", "--from", today, "--until", end,
        "--purpose", "disease", "--disease", "icd10:A41.9", "--design", design,
        "--compute-node", cast.centre.org, "--title", TITLES["study"],
    )  # fmt: skip
    life.agree(done["leaf"], [(hospital, "lead")])
    life.do(
        hospital, "ethics", "ethics", "grant", "ETH-1", "--study", STUDY, "--from", today,
        "--until", end,
    )  # fmt: skip


def _request(life: Life) -> None:
    """What the use terms say; the request; the reviews."""
    cast = life.cast
    hospital = cast.hospital
    life.act("story-request", request=REQUEST)
    life.show(hospital, "request", "match", "--study", STUDY, "--dataset", STANDARD)
    done = life.do(
        hospital, "officer", "request", "submit", REQUEST, "--study", STUDY, "--dataset",
        STANDARD, "--ethics", "ETH-1", "--variables", "sofa, died", "--impact",
        "No person can be told from these tables.",
    )  # fmt: skip
    life.agree(done["leaf"], [(hospital, "lead")])
    life.do(cast.centre, "committee", "review", REQUEST, "--stage", "completeness")
    for house, key in ((cast.clinic, "committee"), (cast.centre, "officer")):
        life.do(house, key, "review", REQUEST, "--stage", "scientific")
    life.show(hospital, "request", "show", REQUEST)


def _decision(life: Life) -> None:
    """The committee decides, k of n; both sides' officers put the permit into force."""
    cast = life.cast
    chair = cast.committee[0]
    life.act("story-decision", permit=PERMIT, count=len(cast.committee))
    met = str(len(cast.committee))
    meeting = life.do(
        chair, "committee", "resolution", RESOLUTION, "--kind", "decide", "--date", _days(0),
        "--present", met, "--for", met,
    )  # fmt: skip
    life.by_committee(meeting["leaf"])
    done = life.do(
        chair, "committee", "decide", "approve", REQUEST, "--permit", PERMIT, "--resolution",
        RESOLUTION,
    )  # fmt: skip
    life.by_committee(done["leaf"], cast.centre)
    active = life.do(cast.hospital, "officer", "permit", "activate", PERMIT)
    life.agree(active["leaf"], [(cast.centre, "officer")])
    life.show(cast.hospital, "permit", "show", PERMIT)


def _analysis(life: Life, people: People) -> str:
    """The data are handed out on the record, and a real script runs on them; its record's leaf."""
    centre = life.cast.centre
    life.act("story-analysis")
    source, work = life.folder / "sepsis-standard.csv", life.folder / "work.csv"
    script, table = life.folder / "mortality.py", life.folder / "mortality.csv"
    script.write_text(SCRIPT, encoding="utf-8")
    under = ("--permit", PERMIT, "--person", people.analyst, "--purpose", PURPOSE)
    read = life.do(
        centre, "system", "access", "read", source, "--dataset", STANDARD, "--out", work, *under
    )
    life.holds(
        read["findings"] == [], "an access under the permit must have no findings", read["findings"]
    )
    python = "python3" if shutil.which("python3") else sys.executable
    options = (*under, "--dataset", f"{STANDARD}={work}", "--output", table, "--run", "RUN-1")
    done = life.wrapped(centre, options, (python, script, work, table))
    life.holds(
        done["findings"] == [], "a run under the permit must have no findings", done["findings"]
    )
    life.holds(table.is_file(), "the run must leave its output")
    typer.echo(table.read_text(encoding="utf-8").rstrip())
    return str(done["leaf"])


def _outside(life: Life) -> None:
    """Somebody who is not on the permit reads the data: recorded, and flagged."""
    centre = life.cast.centre
    life.act("story-outside", permit=PERMIT)
    done = life.do(
        centre, "system", "access", "record", "--dataset", STANDARD, "--activity", "FILE_READ",
        "--permit", PERMIT, "--person", secrets.token_hex(16), "--purpose", "DUO:0000039",
    )  # fmt: skip
    found = ["PERSON_NOT_LISTED", "PURPOSE_MISMATCH"]
    life.holds(
        done["findings"] == found,
        "an access outside the permit must have its findings",
        done["findings"],
    )
    life.show(life.cast.hospital, "accesses", "--finding", "PERSON_NOT_LISTED", "--count")


def _result(life: Life, run: str) -> None:
    """The table becomes a result; it leaves through two reviewers of two houses."""
    cast = life.cast
    hospital = cast.hospital
    life.act("story-result", result=RESULT)
    table = life.folder / "mortality.csv"
    made = life.do(
        hospital, "lead", "result", "register", RESULT, table, "--study", STUDY, "--kind",
        "report", "--run", run, "--indicator", INDICATOR, "--title", TITLES["result"],
    )  # fmt: skip
    life.holds(made["findings"] == [], "the result must have no findings", made["findings"])
    sdc, profile = life.folder / "results.json", life.folder / "thresholds.yaml"
    sdc.write_bytes(msgspec.json.encode(CHECKED))
    profile.write_text("safe_threshold: 10\n", encoding="utf-8")
    life.do(
        hospital, "lead", "egress", "submit", "EGR-1", "--result", RESULT, "--permit", PERMIT,
        "--sdc", sdc, "--profile", profile, "--destination", "publication",
    )  # fmt: skip
    for house, key in ((cast.clinic, "checker"), (cast.centre, "checker-2")):
        life.do(house, key, "egress", "review", "EGR-1", "--checklist", profile)
    if cast.is_alone:
        _nothing_leaves(life)
        return
    done = life.do(cast.clinic, "checker", "egress", "decide", "EGR-1", "release")
    life.agree(done["leaf"], [(cast.centre, "officer")])
    doi = ("publication", "record", RESULT, "doi", "10.5555/sepsis.2026")
    said = life.do(hospital, "lead", *doi)
    life.holds(
        "NOT_RELEASED" not in said["findings"],
        "the publication must count as released",
        said["findings"],
    )


def _nothing_leaves(life: Life) -> None:
    """Where all reviewers are of one house the release is refused."""
    try:
        life.do(life.cast.clinic, "checker", "egress", "decide", "EGR-1", "release")
    except RefusedError as refusal:
        life.holds(refusal.rule == "W19", "the release must be refused by its rule", refusal.rule)
        typer.echo(say("story-nothing-leaves", rule=refusal.rule))
        return
    life.holds(False, "the release must be refused by its rule")


def _credit(life: Life) -> None:
    """Who did what is claimed, and confirmed by whoever answers for it."""
    cast = life.cast
    life.act("story-credit")
    claims = (
        (cast.hospital, "analyst", RESULT, "formal-analysis", "lead"),
        (cast.hospital, "clinician", "sepsis-hospital@1", "data-curation", "lead"),
        (cast.clinic, "author", INDICATOR, "methodology", "lead"),
    )
    for house, key, target, role, degree in claims:
        words = ("contribution", "claim", target, "--role", role, "--degree", degree)
        # The analyst wants to be named; the others stay pseudonyms.
        name = ("--name", ANALYST) if key == "analyst" else ()
        claim = life.do(house, key, *words, *name)
        done = life.do(house, "officer", "contribution", "confirm", claim["leaf"])
        life.holds(
            done["decision"] == "EFFECTIVE", "the contribution must be confirmed", done["decision"]
        )
    life.show(cast.hospital, "credit", RESULT)


def _certificate(life: Life) -> None:
    """The public notice, then the certificate: the committee and the custodian sign."""
    chair = life.cast.committee[0]
    life.act("story-certificate", certificate=CERTIFICATE)
    closes = _notice(life, chair)
    time.sleep(max(0, closes - clock_ms()) / 1000 + 0.5)
    permit = life.scene.look("permit", "show", PERMIT, "--home", chair.home)["terms"]["decision"]
    rights = ("--right", f"use={life.cast.hospital.org}@{permit}")
    done = life.do(
        chair, "committee", "certificate", "issue", CERTIFICATE, "--notice", "NOTICE-1", "--kind",
        "report", *rights, "--until", _days(700), "--source", "Records of two hospitals.",
        "--processing", "De-identified at home, put into one form by the data centre.",
        "--scenario", "Research on sepsis.", "--update-period", "yearly",
    )  # fmt: skip
    life.by_committee(done["leaf"], life.cast.centre)


def _notice(life: Life, chair: House) -> int:
    """Open the notice; gives when it closes. Here nobody waits fifteen days for objections."""
    for patience in PATIENCE_S:
        closes = clock_ms() + patience * 1000
        words = ("certificate", "notice", "NOTICE-1", RESULT, "--closes", encode_time(closes))
        try:
            life.do(chair, "committee", *words)
        except RefusedError as refusal:
            if refusal.rule != "W37" or patience == PATIENCE_S[-1]:
                raise
        else:
            return closes
    unreachable("the last try raises or returns")


def _stranger(life: Life) -> None:
    """Somebody with two files, no node and no key checks the certificate and prints it."""
    life.act("story-stranger")
    away = life.folder / "stranger"
    away.mkdir()
    file, genesis = away / "certificate.json", away / "genesis"
    # Whoever exports it discloses names as far as its own key may read them.
    house = life.cast.hospital
    shutil.copyfile(house.home / "genesis", genesis)
    words = ("certificate", "verify", file, "--genesis", genesis)
    found = _export(life, file, words)
    life.holds(
        (found["verdict"], found["status"]) == ("valid", "ISSUED"),
        "the certificate must be genuine and in force",
        found,
    )
    life.holds(sum(found["shares"].values()) == 10_000, "the shares must add up", found["shares"])
    life.holds(
        list(found["names"].values()) == [ANALYST],
        "the certificate must name who consented, and nobody else",
        found["names"],
    )
    life.holds(
        len(found["titles"]) == len(TITLES), "the certificate must have all titles", found["titles"]
    )
    life.scene.run(*words, home=False)
    page = away / "certificate.pdf"
    life.scene.run("certificate", "print", file, "--genesis", genesis, "--out", page, home=False)
    life.holds(page.read_bytes().startswith(b"%PDF-"), "the printed certificate must be a PDF")


def _export(life: Life, file: Path, check: Sequence[str | Path]) -> dict[str, Any]:
    """The file, and what it says; again until the titles of all members have come here."""
    house = life.cast.hospital
    for _ in range(TRIES):
        life.show(house, "certificate", "export", CERTIFICATE, "--out", file)
        found: dict[str, Any] = life.scene.look(*check)
        if len(found["titles"]) == len(TITLES):
            break
        time.sleep(1)
    return found


def attribution() -> bytes:
    """The parameters of credit that the story's alliance is founded with: nobody waits for
    objections.
    """
    return msgspec.json.encode(msgspec.structs.replace(DEFAULT_ATTRIBUTION, objection_days=0))


def _days(count: int) -> str:
    """The day so many days from now."""
    return encode_time(clock_ms() + count * DAY_MS)[:10]
