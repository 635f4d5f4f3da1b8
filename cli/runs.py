"""Commands on runs of analyses, and on incidents."""

from typing import Annotated

import typer

from cli.catalogue import read_pairs
from cli.options import Place, signing
from cli.records import report, write
from cli.session import Session
from cli.statements import clock_ms
from cli.studies import texts
from cli.wrapping import wrap
from ledger.encoding import encode_time

run = typer.Typer(no_args_is_help=True, help="Runs of analyses (signed by the platform).")
incident = typer.Typer(no_args_is_help=True, help="What went wrong.")

Digests = Annotated[list[str] | None, typer.Option(help="SHA-256, base64url; may be repeated.")]


def record_run(
    place: Place,
    name: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    state: Annotated[
        str, typer.Option(help="requested, signed-off, started, completed, failed, aborted.")
    ],
    where: Annotated[str, typer.Option("--on", help="Where it ran, ORG or ORG/NODE.")],
    job: Annotated[str, typer.Option(help="NAMESPACE=NAME of the work.")] = "local=run",
    permit: Annotated[str | None, typer.Option(help="The permit that allows it.")] = None,
    person: Annotated[str | None, typer.Option(help="Pid of who ran it.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Code of the purpose.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Used SERIES@VERSION.")] = None,
    result: Annotated[list[str] | None, typer.Option(help="Used result, by id.")] = None,
    file: Annotated[list[str] | None, typer.Option(help="Used file, by digest.")] = None,
    generated: Digests = None,
    code: Annotated[str | None, typer.Option(help="Digest of the code.")] = None,
    image: Annotated[str | None, typer.Option(help="Digest of the image.")] = None,
    engine: Annotated[str | None, typer.Option(help="What ran it.")] = None,
    exit_code: Annotated[int | None, typer.Option(help="What the program left with.")] = None,
    started: Annotated[str | None, typer.Option(help="UTC, three decimals.")] = None,
    ended: Annotated[str | None, typer.Option(help="UTC, three decimals.")] = None,
) -> None:
    """Record one state of a run, with its inputs and outputs."""
    namespace, title = read_pairs([job], "job")[0]
    used: list[dict[str, str]] = [
        *({"kind": "dataset", "name": one} for one in dataset or ()),
        *({"kind": "result", "name": one} for one in result or ()),
        *({"digest": one, "kind": "file"} for one in file or ()),
    ]
    fields = {
        "code_digest": code,
        "compute_node": where,
        "ended": ended,
        "engine": engine,
        "exit_code": exit_code,
        "generated": generated,
        "image_digest": image,
        "job": {"name": title, "namespace": namespace},
        "permit": permit,
        "person": person,
        "purpose": purpose,
        "run_id": name,
        "started": started,
        "state": state,
        "used": used,
    }
    with Session(place) as session:
        report(session, write(session, "compute-run", fields))


def report_incident(
    place: Place,
    name: Annotated[str, typer.Argument(metavar="INCIDENT", help="Id of the incident.")],
    kind: Annotated[str, typer.Option("--class", help="breach, misuse, key, availability, other.")],
    severity: Annotated[str, typer.Option(help="low, medium, high.")],
    affected: Annotated[list[str] | None, typer.Option(help="Record, by id or leaf hash.")] = None,
    detected: Annotated[str | None, typer.Option(help="UTC; default: now.")] = None,
    contained: Annotated[str | None, typer.Option(help="UTC, three decimals.")] = None,
    notified: Annotated[
        bool, typer.Option("--authority-notified", help="The authority was told.")
    ] = False,
    detail: Annotated[str | None, typer.Option(help="What happened; kept in the vault.")] = None,
) -> None:
    """Record an incident; it joins the logs of all that it concerns."""
    with Session(place) as session:
        fields = {
            "affected": [session.leaf_of(one) for one in affected or ()],
            "authority_notified": notified,
            "class": kind,
            "contained_at": contained,
            "detected_at": detected or encode_time(clock_ms()),
            "incident_id": name,
            "severity": severity,
        }
        payloads = texts(session, "incident", {"detail": detail}, tier="T2")
        report(session, write(session, "incident", fields, payloads=payloads))


run.command("record")(signing("system")(record_run))
run.command("wrap", context_settings={"allow_interspersed_args": False})(signing("system")(wrap))
incident.command("report")(signing("officer")(report_incident))
