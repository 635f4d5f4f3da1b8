"""The offline half of `make audit` on the lock files as they are, and what both halves must see."""

import pytest

from tests.tidy import audit
from tests.tidy.audit import DEVELOPERS, LOCKS, RUNTIME, installed_versions, problems_of, verdict
from tests.tidy.source import ROOT

ONE = "one==1.0 \\\n    --hash=sha256:aa\n    # via x\n"
WINDOWS = "win==2 ; sys_platform == 'win32' \\\n    --hash=sha256:bb\n"


def test_what_is_installed_is_locked_with_hashes() -> None:
    locks = {name: (ROOT / name).read_text() for name in LOCKS}
    assert problems_of(locks, installed_versions()) == []


@pytest.mark.parametrize(
    ("runtime", "developers", "installed", "count"),
    [
        (ONE, ONE + WINDOWS, {"one": "1.0"}, 0),
        (ONE, ONE, {"one": "1.1"}, 1),
        (ONE, ONE, {}, 1),
        (ONE, WINDOWS, {}, 1),
        (ONE, ONE.replace("1.0", "1.1"), {"one": "1.1"}, 1),
        ("one==1.0\n", ONE, {"one": "1.0"}, 1),
        ("one>=1.0 \\\n    --hash=sha256:aa\n", ONE, {"one": "1.0"}, 1),
    ],
)
def test_a_lock_that_does_not_hold_is_seen(
    runtime: str, developers: str, installed: dict[str, str], count: int
) -> None:
    assert len(problems_of({RUNTIME: runtime, DEVELOPERS: developers}, installed)) == count


def test_a_package_that_nobody_was_asked_about_is_not_one_without_holes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hole = {"id": "PYSEC-1", "fix_versions": ["1.1"]}
    report = {"dependencies": [
        {"name": "one", "version": "1.0", "vulns": [hole]},
        {"name": "two", "skip_reason": "not found"},
        {"name": "three", "version": "3", "vulns": []},
    ]}  # fmt: skip
    assert verdict(report) == (["one 1.0: PYSEC-1, mended in 1.1"], ["two"])
    for given, code, said in (
        (report, 1, "KNOWN HOLE"),
        ({"dependencies": report["dependencies"][1:]}, 0, "NOT AUDITED"),
        ({"dependencies": report["dependencies"][2:]}, 0, "no hole is known"),
        (None, 0, "NOT AUDITED"),
    ):
        monkeypatch.setattr(audit, "ask", lambda given=given: given)
        assert audit.main() == code
        assert said in capsys.readouterr().out
