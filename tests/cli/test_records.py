"""Each command that writes: a record on the chain, a receipt in the home, or a refusal that says
why.
"""

from pathlib import Path

import msgspec
import pytest

from cli.home import load_genesis
from ledger.crypto import verify
from ledger.encoding import encode_time
from ledger.verify import Receipt, verify_receipt
from tests.cli.conftest import Chain, call, make_chain


def receipt_of(written: dict[str, str]) -> Receipt:
    return msgspec.json.decode(Path(written["receipt"]).read_bytes(), type=Receipt)


def resolve(chain: Chain, no: str, kind: str = "decide") -> None:
    words = ("resolution", no, "--kind", kind, "--date", "2026-01-05", "--present", "5")
    assert chain(*words, "--for", "4", "--against", "1").code == 0


def make_key(chain: Chain, name: str, org: str, capacity: str) -> Path:
    chain("keys", "new", name)
    words = ("keys", "public", name, "--org", org, "--capacity", capacity, "--subject", name)
    path = chain.home / f"{name}.description"
    path.write_text(chain(*words).out)
    return path


def test_a_dataset_is_registered_and_its_receipt_holds(chain: Chain) -> None:
    written = chain.json("dataset", "register", "S1", "--openness", "closed", "--alias", "n=a")
    assert (written["type"], written["decision"]) == ("dataset", "EFFECTIVE")
    verified = verify_receipt(receipt_of(written), load_genesis(chain.home).tip, verify)
    assert verified.entry.record.id == written["id"]
    assert verified.entry.record.body.aliases[0].name == "a"


@pytest.mark.parametrize(
    ("words", "code", "rule"),
    [
        (("dataset", "register", "T 1", "--openness", "closed"), 10, "X2"),
        (("dataset", "register", "T1", "--openness", "ajar"), 10, "X2"),
        (("dataset", "register", "T1", "--openness", "closed", "--alias", "x"), 10, "X2"),
        (("dataset", "register", "T@1", "--openness", "closed"), 10, "X2"),
        (("dataset", "register", "T1"), 2, ""),
        (("dataset", "register", "T1", "--openness", "closed", "--key", "system"), 12, "S3.cap"),
        (("dataset", "register", "T1", "--openness", "closed", "--key", "none"), 14, "X1.key"),
        (("version", "register", "NONE", "v1", "--digest", "A" * 43), 12, "D4"),
        (("version", "register", "NONE", "v1"), 10, "X2"),
        (("resolution", "R9", "--kind", "decide", "--date", "2026-01-05", "--present", "2",
          "--for", "1", "--against", "1"), 12, "G12"),
        (("resolution", "R9", "--kind", "decide", "--date", "5 Jan", "--present", "2",
          "--for", "1"), 10, "X2"),
        (("member", "suspend", "h9"), 12, "G1"),
        (("member", "admit", "h9", "--kind", "hospital", "--key-file", "README.none"), 18,
         "X1.file"),
        (("key", "revoke", "A" * 22), 12, "K5"),
        (("key", "revoke", "A"), 10, "X2"),
        (("endorse", "A" * 43), 14, "O6"),
        (("policy", "second", "--quorum", "default=3"), 10, "X2"),
        (("policy", "second"), 12, "G6"),
        (("policy", "second", "--resolution", "2026-99"), 12, "G6"),
        (("correction", "9999", "--field", "body.person", "--reason", "TYPO", "--value", "x"), 14,
         "O6"),
        (("correction", "0", "--field", "body.person", "--reason", "TYPO"), 12, "U6"),
        (("source-close", "gateway", "--day", "today"), 10, "X2"),
        (("access", "record", "--dataset", "S1", "--activity", "A", "--action", "steal"), 10,
         "X2"),
        (("access", "record", "--dataset", "S1", "--activity", "A", "--request", "x=y"), 10,
         "X2"),
        (("access", "record", "--dataset", "S1", "--activity", "A", "--person",
          "a@example.org"), 12, "S8"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why_in_both_languages(
    chain: Chain, words: tuple[str, ...], code: int, rule: str
) -> None:
    english, chinese = chain(*words, "--lang", "en"), chain(*words, "--lang", "zh")
    assert (english.code, chinese.code) == (code, code), english.err
    assert rule in english.err
    if code != 2:
        assert "Error" in english.err
        assert "What to do" in english.err
        assert "错误" in chinese.err
        assert "处理办法" in chinese.err


def test_a_policy_follows_the_newest(chain: Chain) -> None:
    resolve(chain, "R-policy", "policy")
    later = encode_time(4_000_000_000_000)
    words = ("policy", "second", "--resolution", "R-policy", "--backfill-days", "7")
    written = chain.json(*words, "--quorum", "member=1/2", "--effective-from", later)
    assert written["decision"] == "EFFECTIVE"
    value = chain.json("state", "policy", "next")["value"]
    assert value["body"]["version"] == 2
    assert value["body"]["backfill_days"] == 7
    assert value["body"]["decision_days"] == 30
    assert value["body"]["quorum"] == {"default": [2, 3], "member": [1, 2]}


def test_members_come_and_go(tmp_path: Path) -> None:
    with make_chain(tmp_path / "home") as chain:
        officer = make_key(chain, "other", "h2", "so")
        committee = make_key(chain, "other-committee", "h2", "dac")
        resolve(chain, "R-admit", "admit")
        words = ("member", "admit", "h2", "--kind", "hospital", "--key-file", officer,
                 "--key-file", committee)  # fmt: skip
        assert chain(*words).code == 12
        assert chain.json(*words, "--resolution", "R-admit")["decision"] == "EFFECTIVE"
        assert chain.json("state", "member", "h2")["value"]["status"] == "ADMITTED"
        # Two thirds of two members are both of them: h1 decides nothing alone any more.
        words = ("resolution", "R-out", "--kind", "discipline", "--date", "2026-01-06")
        pending = chain.json(*words, "--present", "5", "--for", "5")
        assert pending["decision"] == "PENDING"
        assert chain("member", "suspend", "h2", "--resolution", "R-out").code == 12
        assert chain("endorse", pending["id"], "--key", "other-committee").code == 0
        for action, status in (
            ("suspend", "SUSPENDED"),
            ("restore", "ADMITTED"),
            ("exit", "EXITED"),
        ):
            words = ("member", action, "h2", "--resolution", "R-out", "--reason", "ASKED")
            done = chain.json(*words)
            assert done["findings"] == []
            if done["decision"] == "PENDING":
                assert chain("endorse", done["id"], "--key", "other-committee").code == 0
            assert chain.json("state", "member", "h2")["value"]["status"] == status


def test_keys_are_registered_and_revoked(chain: Chain) -> None:
    description = make_key(chain, "gate-2", "h1", "system")
    unknown = chain("access", "record", "--dataset", "S", "--activity", "A", "--key", "gate-2")
    assert unknown.code == 20
    assert "H5" in unknown.err
    registered = chain.json("key", "register", description)
    assert registered["decision"] == "EFFECTIVE"
    used = ("access", "record", "--dataset", "S", "--activity", "A", "--system", "gate-2")
    assert chain(*used, "--key", "gate-2").code == 0
    kid = chain.json("keys", "show", "gate-2")["kid"]
    assert chain.json("key", "revoke", kid, "--reason", "LOST")["decision"] == "EFFECTIVE"
    late = chain(*used, "--key", "gate-2")
    assert late.code == 20
    assert "H5" in late.err


def test_a_second_officer_endorses(chain: Chain) -> None:
    description = make_key(chain, "deputy", "h1", "so")
    pending = chain.json("key", "register", description)
    assert pending["decision"] == "PENDING"
    endorsed = chain.json("endorse", pending["id"])
    assert endorsed["findings"] == []
    value = chain.json("state", "decision", pending["leaf"])["value"]
    assert (value["status"], len(value["votes"])) == ("EFFECTIVE", 2)
    assert chain.json("endorse", pending["leaf"], "--reject")["findings"] == ["NOT_PENDING"]


def test_a_file_that_is_no_description_is_refused(chain: Chain, tmp_path: Path) -> None:
    path = tmp_path / "description"
    path.write_text('{"alg":"EdDSA"}')
    result = chain("key", "register", path)
    assert (result.code, "X2.file" in result.err) == (10, True)


def test_uses_are_numbered_without_gaps(chain: Chain) -> None:
    for number in (1, 2, 3):
        words = ("access", "record", "--dataset", "S2", "--activity", "LOOK", "--system", "ward")
        chain.json(*words, "--request", "ward=1", "--person", "ext:ward:7")
        assert chain.json("state", "source", "h1/ward")["value"]["last"] == number
    closed = chain.json("source-close", "ward")
    assert closed["findings"] == []
    source = chain.json("state", "source", "h1/ward")["value"]
    assert source == {"closed": 3, "complete": 3, "count": 3, "last": 3}
    gap = chain("access", "record", "--dataset", "S2", "--activity", "A", "--system", "ward",
                "--seq", "5")  # fmt: skip
    assert gap.code == 0
    assert chain.json("source-close", "ward")["findings"] == ["SEQ_GAP"]


def test_a_correction_stands_beside_its_target(chain: Chain) -> None:
    words = ("access", "record", "--dataset", "S3", "--activity", "LOOK", "--system", "clinic")
    target = chain.json(*words)
    words = ("correction", target["id"], "--field", "body.person", "--reason", "MISSING")
    done = chain.json(*words, "--value", "ext:clinic:1")
    log = chain.json("subject", f"record:{target['leaf']}")
    assert [item["leaf"] for item in log["records"]] == [done["leaf"]]


def test_people_read_a_sentence(chain: Chain) -> None:
    words = ("access", "record", "--dataset", "S4", "--activity", "LOOK", "--system", "lab")
    assert "Recorded: access" in chain(*words).out
    shown = chain(*words, "--lang", "zh").out
    assert "已记录：access" in shown
    assert "发现项 NO_PERSON：未注明人员。" in shown


def test_help_names_every_command() -> None:
    shown = call("--help").out
    for name in ("init", "node", "keys", "member", "dataset", "import", "accesses", "audit"):
        assert name in shown
