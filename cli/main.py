"""The command `alliance`: every command in one place, and one way for errors to leave.

Exit codes: 0 done; 1 a mistake of ours; 2 wrong usage; 10 malformed or too large; 11 signature;
12 refused; 13 conflict; 14 not found or erased; 15 proof; 16 busy or over a limit; 17 storage; 18
configuration; 19 the node cannot be reached; 20 unauthenticated or forbidden; 20 + step the first
failed step of an audit (21 to 26); 130 interrupted.
"""

import os
import sys
from types import TracebackType

import typer
from typer.main import get_command

from cli import (
    apikeys,
    applications,
    catalogue,
    collecting,
    create,
    importing,
    joining,
    keys,
    login,
    membership,
    observing,
    operate,
    outbox,
    outputs,
    questions,
    records,
    registers,
    reports,
    rights,
    runs,
    schemas,
    studies,
    tls,
    upkeep,
    vault,
    vocabulary,
)
from cli.audit import audit_app
from cli.demo import demo
from cli.doctor import doctor
from cli.options import TAKES_ID, at_place, signing
from cli.rehearsal import drill
from cli.screen import EXIT_INTERNAL, exit_code, explain, foresee
from cli.tour import tour
from cli.usage import Root, in_both_languages
from ledger.errors import AllianceError

app = typer.Typer(
    name="alliance",
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A ledger of who used which research data, verifiable by anybody.",
)
app.command("init")(operate.init)
app.add_typer(create.app, name="create")
app.add_typer(operate.app, name="node")
app.command("export")(at_place(operate.export))
app.command("backup")(operate.backup)
app.command("restore")(operate.restore)
app.command("doctor")(doctor)
app.command("invite")(joining.invite)
app.command("join")(joining.join)
app.command("observe")(observing.observe)
app.command("admit")(signing("committee")(membership.admit))
app.add_typer(membership.app, name="config")
app.command("ready")(at_place(membership.ready))
app.command("leave")(signing("officer")(membership.leave))
app.command("endpoint")(signing("officer")(membership.endpoint))
operate.app.command("rotate")(signing("officer")(membership.rotate))
app.add_typer(keys.app, name="keys")
app.add_typer(apikeys.app, name="apikey")
app.add_typer(tls.app, name="tls")
app.command("login")(at_place(login.login))
app.add_typer(vault.app, name="vault")
app.command("erase", context_settings=TAKES_ID)(signing("officer")(vault.erase))
app.add_typer(records.member, name="member")
app.add_typer(records.key, name="key")
app.command("resolution")(signing("committee")(records.resolution))
app.command("policy")(signing("committee")(records.policy))
app.command("endorse", context_settings=TAKES_ID)(signing("committee")(records.endorse))
app.add_typer(records.dataset, name="dataset")
app.add_typer(records.version, name="version")
app.add_typer(records.access, name="access")
app.add_typer(vocabulary.indicator, name="indicator")
app.add_typer(vocabulary.vocabulary, name="vocabulary")
app.add_typer(studies.study, name="study")
app.add_typer(studies.ethics, name="ethics")
app.add_typer(applications.request, name="request")
app.command("review")(signing("committee")(applications.review))
app.add_typer(applications.decide, name="decide")
app.add_typer(applications.permit, name="permit")
app.add_typer(runs.run, name="run")
app.add_typer(runs.incident, name="incident")
app.add_typer(outbox.app, name="outbox")
app.command("source-close")(signing("system")(records.close))
app.command("correction", context_settings=TAKES_ID)(signing("officer")(records.correction))
app.add_typer(outputs.result, name="result")
app.add_typer(outputs.egress, name="egress")
app.add_typer(outputs.publication, name="publication")
app.add_typer(rights.contribution, name="contribution")
app.command("credit", context_settings=TAKES_ID)(at_place(rights.credit))
app.command("trace", context_settings=TAKES_ID)(at_place(rights.trace))
app.command("obligations")(at_place(rights.obligations))
app.add_typer(rights.certificate, name="certificate")
app.add_typer(collecting.dossier, name="dossier")
app.add_typer(rights.dispute, name="dispute")
app.add_typer(rights.finding, name="finding")
app.add_typer(upkeep.assessment, name="assessment")
app.add_typer(upkeep.anchor, name="anchor")
app.add_typer(importing.app, name="import")
app.command("accesses")(at_place(reports.accesses))
app.add_typer(questions.app, name="report")
app.add_typer(registers.app, name="register")
app.command("proof", context_settings=TAKES_ID)(at_place(reports.proof))
app.command("subject")(at_place(reports.subject))
app.command("state", context_settings=TAKES_ID)(at_place(reports.state))
app.command("schema")(schemas.schema)
app.command("findings")(at_place(reports.findings))
app.add_typer(audit_app, name="audit")
app.command("demo")(demo)
app.command("tour")(tour)
app.command("drill")(drill)

COMMANDS = catalogue.__name__
"""The catalogue's commands register themselves when the module is read."""

in_both_languages(app)


def run(arguments: list[str] | None = None) -> None:
    """The console script. Errors leave as one sentence and an exit code, never as a traceback."""
    sys.excepthook = _on_mistake
    sys.exit(main(arguments))


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    foresee(words)
    try:
        get_command(app)(words, prog_name="alliance")
    except AllianceError as error:
        explain(error)
        return exit_code(error)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else EXIT_INTERNAL
    return 0


def _on_mistake(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What nobody foresaw: Python leaves with exit code 1 after this."""
    if os.environ.get("ALLIANCE_DEBUG"):
        sys.__excepthook__(kind, error, trace)
        return
    explain(AllianceError("X9", kind=kind.__name__))
