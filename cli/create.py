"""`alliance create`: several founders make one chain, each with its own keys (SPEC 1.5).

every founder   create part                    -> its part, to the convener
the convener    create draft PART...           -> the draft, to every founder
every founder   create accept DRAFT            -> its acceptance, to the convener
the convener    create finish DRAFT ACCEPT...  -> the genesis, to every founder
the others      create take GENESIS            and all compare the pin
"""

from glob import escape
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli import home as homes
from cli.founding import (
    OFFICE_KEYS,
    Plan,
    all_or_nothing,
    check_vacant,
    make_acceptance,
    make_draft,
    make_part,
    new_signers,
    parameters_in,
    save_home,
    seal_genesis,
)
from cli.handover import (
    check_own,
    own_keys,
    own_part,
    read_acceptances,
    read_draft,
    read_genesis,
    read_parts,
)
from cli.offline import Audit, Held
from cli.options import (
    DEFAULT_HOME,
    AttributionFile,
    BackfillDays,
    DecisionDays,
    Home,
    Host,
    Json,
    Kind,
    Lang,
    NameEn,
    NameZh,
    Org,
    Origin,
    PassphraseFile,
    Port,
)
from cli.screen import code_text, local_time, progress, say, show, wants_json
from cli.statements import Author, clock_ms
from ledger.chain import Applied, Founding
from ledger.continuation import end_of
from ledger.encoding import b64url, decode_time, encode_bundle
from ledger.errors import ConfigError, ConflictError, ProofError
from ledger.members import EpochConfig
from ledger.records.envelope import ENCODE
from ledger.records.governance import DEFAULT_ATTRIBUTION, Attribution, Continues, GenesisBody
from node.config import DEFAULT_PORT, names_at

app = typer.Typer(
    no_args_is_help=True, help="Found a chain of several members, each with its own keys."
)
Out = Annotated[Path, typer.Option("--out", help="New file for it.")]
DraftFile = Annotated[Path, typer.Argument(metavar="DRAFT", help="The convener's draft.")]


def check_new(path: Path) -> None:
    """Nothing is made for a file that is there already. Raises `ConflictError` (X1.exists)."""
    if path.exists():
        raise ConflictError("X1.exists", file=path.name)


# --- what a draft or a genesis says ---


def tolerance_lines(config: EpochConfig) -> list[str]:
    """What the network bears, and plainly what it does not."""
    n, offline, lying = config.n, config.offline, config.lying
    lines = [say("audit-members", n=n, q=config.q, offline=offline, lying=lying)]
    if offline == 0:
        lines.append(say("create-all-needed"))
    if n == 1:
        lines.append(say("audit-alone"))
    elif lying == 0:
        lines.append(say("audit-no-liar"))
    return lines


def seam_lines(continues: Continues | None) -> list[str]:
    """Which chain a new one goes on from."""
    if continues is None:
        return []
    facts = {"height": continues.height, "size": continues.size}
    return [say("seam-continues", chain=continues.chain_id, pin=continues.pin, **facts)]


def read_end(folder: Path) -> Continues:
    """The end of a chain, from its copy, audited. Raises the first thing that is wrong with it."""
    audit = Audit(folder, Held())
    with progress("auditing", 2 * audit.entries()) as advance:
        report = audit.run(advance)
    if report.failed is not None and report.failed.error is not None:
        raise report.failed.error
    return end_of(audit.genesis, audit.tip)


def describe(draft: Founding) -> tuple[dict[str, object], list[str]]:
    """A draft as JSON, and as a founder reads it before accepting."""
    entry, config = draft.entries[0], draft.config
    body: GenesisBody = entry.record.body
    kinds = {founder.org: founder.kind for founder in body.founders}
    policy = body.policy
    shares = {name: f"{over}/{under}" for name, (over, under) in policy.quorum.items()}
    result: dict[str, object] = {
        "alliance": {"en": body.alliance.en, "zh": body.alliance.zh},
        "origin": draft.origin,
        "at": entry.record.at,
        "convener": entry.statement.iss,
        "members": [{"org": org, "kind": kind} for org, kind in kinds.items()],
        "n": config.n,
        "q": config.q,
        "may_be_absent": config.offline,
        "may_lie": config.lying,
        "shares": shares,
        "backfill_days": policy.backfill_days,
        "decision_days": policy.decision_days,
        "attribution": msgspec.to_builtins(policy.attribution or DEFAULT_ATTRIBUTION),
        "chain_id": config.chain_id,
    }
    lines = [
        say("create-names", en=body.alliance.en, zh=body.alliance.zh),
        say("init-origin", origin=draft.origin),
        say(
            "create-drafted",
            org=entry.statement.iss,
            at=local_time(decode_time(entry.record.at)),
        ),
        *(say("create-member", org=org, kind=code_text(kind)) for org, kind in kinds.items()),
        *tolerance_lines(config),
        say(
            "create-policy",
            shares=", ".join(f"{share} ({name})" for name, share in shares.items()),
            backfill=policy.backfill_days,
            decision=policy.decision_days,
        ),
        say("create-credit", parameters=_parameters(policy.attribution or DEFAULT_ATTRIBUTION)),
        say("init-chain", chain=config.chain_id),
        *seam_lines(body.continues),
    ]
    if body.continues is not None:
        result["continues"] = msgspec.to_builtins(body.continues)
    return result, lines


def show_genesis(name: str, org: str, home: Path, block: Applied, written: Path | None) -> None:
    """Print the chain of a finished genesis, with its pin."""
    pin, config = b64url(block.tip.seal_leaf), block.tip.config
    result = {
        "home": str(home),
        "org": org,
        "origin": block.tip.origin,
        "chain_id": config.chain_id,
        "n": config.n,
        "q": config.q,
        "pin": pin,
        "file": None if written is None else str(written),
    }
    lines = [
        say(name, home=str(home), file=str(written)),
        say("init-origin", origin=block.tip.origin),
        say("init-chain", chain=config.chain_id),
        *tolerance_lines(config),
        say("init-pin", pin=pin),
        say("create-compare"),
    ]
    show(result, lines)


def _parameters(given: Attribution) -> str:
    """The parameters of credit on one line."""
    return ENCODE(given).decode().replace('"', "")


# --- the commands ---


@app.command("part")
def part(
    org: Org,
    out: Out,
    kind: Kind = "hospital",
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    keep: Annotated[
        Path | None,
        typer.Option("--keep-keys-of", help="Home whose officers' keys go on; its node's do not."),
    ] = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Make a founder's keys and settings, and the public part that the convener gets."""
    check_vacant(home)
    check_new(out)
    names_at(host, port)
    passphrase = homes.known_passphrase(home, passphrase_file)
    signers = new_signers()
    if keep is not None:
        kept = {name: homes.load_signer(keep, name, passphrase_file) for name in OFFICE_KEYS}
        signers |= kept
    made = make_part(org, kind, signers, clock_ms())
    homes.make_key_dir(home)
    # The part comes first: keys that nobody can name would stand in the way of the next try.
    with all_or_nothing((out.parent, escape(out.name))):
        homes.write_new(out, ENCODE(made))
        made_passphrase = save_home(home, signers, passphrase, host, port)
    result = {
        "home": str(home),
        "org": org,
        "file": str(out),
        "passphrase_made": made_passphrase,
    }
    lines = [
        say("create-part", org=org, home=str(home), file=str(out)),
        *([say("init-passphrase")] if made_passphrase else []),
    ]
    show(result, lines)


@app.command("draft")
def draft(
    files: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="The part of each founder.")
    ],
    origin: Origin,
    name_en: NameEn,
    name_zh: NameZh,
    out: Out,
    quorum: Annotated[
        int | None, typer.Option(min=1, help="Members that decide; default: two thirds.")
    ] = None,
    backfill_days: BackfillDays = 30,
    decision_days: DecisionDays = 30,
    attribution: AttributionFile = None,
    continues: Annotated[
        Path | None,
        typer.Option("--continues", help="Last copy of a chain that can go on no more."),
    ] = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Draft the genesis of these founders; the convener does it, and is one of them."""
    check_new(home / "genesis")
    check_new(out)
    parts = read_parts(files)
    mine = own_part(files, parts, own_keys(home, passphrase_file))
    before = None if continues is None else read_end(continues)
    credit = None if attribution is None else parameters_in(attribution)
    plan = Plan(name_en, name_zh, origin, backfill_days, decision_days, quorum, before, credit)
    officer = homes.load_signer(home, "officer", passphrase_file)
    drafted = make_draft(plan, parts, Author(officer, mine.org, ""), clock_ms())
    homes.write_new(out, encode_bundle([drafted.entries[0].raw]))
    result, lines = describe(drafted)
    show({**result, "file": str(out)}, [*lines, say("create-draft", file=str(out))])


@app.command("accept")
def accept(
    file: DraftFile,
    out: Out,
    continues: Annotated[
        Path | None,
        typer.Option("--continues", help="Your own last copy of the chain that it continues."),
    ] = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Read a draft, check that it has this home's own keys, and sign that its genesis is ours."""
    check_new(home / "genesis")
    check_new(out)
    drafted = read_draft(file)
    result, lines = describe(drafted)
    before = drafted.entries[0].record.body.continues
    if continues is not None and read_end(continues) != before:
        raise ProofError("V32", height=read_end(continues).height)
    # Whoever is asked for a passphrase has read first what it is for.
    if not wants_json():
        show(result, lines)
    org = check_own(file, drafted.entries[0].record, own_keys(home, passphrase_file))
    officer = homes.load_signer(home, "officer", passphrase_file)
    raw = make_acceptance(drafted, org, officer, clock_ms())
    homes.write_new(out, encode_bundle([raw]))
    convener = drafted.entries[0].statement.iss
    line = say("create-accepted", org=org, convener=convener, file=str(out))
    show({**result, "org": org, "file": str(out)}, [line])


@app.command("finish")
def finish(
    file: DraftFile,
    acceptances: Annotated[
        list[Path], typer.Argument(metavar="ACCEPTANCE...", help="Of each founder.")
    ],
    out: Out,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Seal block 0 with the convener's node: the genesis of all founders, and its pin."""
    check_new(home / "genesis")
    check_new(out)
    drafted = read_draft(file)
    convener = drafted.entries[0].statement.iss
    org = check_own(file, drafted.entries[0].record, own_keys(home, passphrase_file))
    if org != convener:
        raise ConfigError("X7.convener", file=file.name, org=convener)
    accepted = read_acceptances(drafted, acceptances)
    node = homes.load_signer(home, "node", passphrase_file)
    bundle, block = seal_genesis(drafted, accepted, node)
    homes.write_new(out, bundle)
    homes.write_new(home / "genesis", bundle)
    show_genesis("create-finished", org, home, block, out)


@app.command("take")
def take(
    file: Annotated[Path, typer.Argument(metavar="GENESIS", help="The finished genesis.")],
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Take the finished genesis into this home, and print its pin to be compared."""
    check_new(home / "genesis")
    bundle, block = read_genesis(file)
    org = check_own(file, block.entries[0].record, own_keys(home, passphrase_file))
    homes.write_new(home / "genesis", bundle)
    show_genesis("create-taken", org, home, block, None)
