"""Personal data that somebody hands in at a node: refused with the field, in either language, and
nothing of it is kept or repeated.
"""

from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import encode_bundle
from ledger.errors import ConfigError
from ledger.records.catalogue import DatasetBody
from ledger.records.payloads import encode_deposit, make_deposit
from ledger.records.use import AccessBody, Source
from node.client import DEPOSIT_TYPE
from node.config import load_config
from node.main import create_app
from tests.node.test_access import NOT_AFTER, ONE, Stage, rule
from tests.node.test_forgetting import run
from tests.support.node import make_config, make_home
from tests.support.world import World, make_world

NAMES = "诸葛亮\nAnn Lee\n"


def home_with_names(world: World, folder: Path, mode: int = 0o600) -> Path:
    home = make_home(world, folder / "home")
    (home / "keys" / "names").write_text(NAMES)
    (home / "keys" / "names").chmod(mode)
    return home


def test_texts_and_records_that_name_people_are_refused_by_field(tmp_path: Path) -> None:
    world = make_world()
    home = home_with_names(world, tmp_path)

    async def text(stage: Stage, value: dict[str, object], tier: Any = "T1") -> Any:  # noqa: ANN401
        given = make_deposit(value, bytes(32), tier, "text/1", ("h1",))
        return await stage.ask(
            "officer", "POST /api/v1/payloads", content=encode_deposit(given),
            headers={"content-type": DEPOSIT_TYPE},
        )  # fmt: skip

    def access(activity: str, seq: int) -> bytes:
        body = AccessBody(
            action="read", activity=activity, channel="api", dataset="D1", outcome="ok",
            source=Source(seq=seq, system="gateway"),
        )  # fmt: skip
        return world.record("access", body, by="system")

    async def test(stage: Stage) -> None:
        for value, field, form in (
            ({"title": "姓名：张伟"}, "title", "name"),
            ({"team": ["ok", "asked Dr. Smith"]}, "team[1]", "name"),
            ({"note": {"who": "诸葛亮"}}, "note.who", "name"),
            ({"phone": 13812345678}, "phone", "mobile"),
        ):
            answer = await text(stage, value)
            assert rule(answer) == (422, "T7")
            assert answer.json()["facts"] == {"field": field, "pattern": form}
            assert field in answer.json()["detail_zh"]
            assert (await text(stage, value, "T2")).status_code == 201
        attached = {"attachment": {"bytes": 13_812_345_678, "sha256": "A" * 43}}
        assert (await text(stage, attached)).status_code == 201
        single = await stage.ask(
            "system", "POST /api/v1/entries", content=access("for Ann Lee", 1), headers=ONE
        )
        assert rule(single) == (422, "S8")
        assert single.json()["facts"] == {"field": "activity", "pattern": "name"}
        assert "Ann Lee" not in single.text
        bundle = encode_bundle([access("VIEW", 1), access("诸葛亮", 2), access("VIEW", 2)])
        kind = {"content-type": "application/vnd.alliance.entries"}
        several = await stage.ask("system", "POST /api/v1/entries", content=bundle, headers=kind)
        found = [item["status"] for item in several.json()["results"]]
        assert found == ["published", "refused", "published"]
        # An organisation's own code for itself, and hashes, are nobody's words.
        body = DatasetBody(custodian="h1", openness="closed", series_id="AnnLee")
        raw = world.record("dataset", body, not_after=NOT_AFTER)
        kept = await stage.ask("officer", "POST /api/v1/entries", content=raw, headers=ONE)
        assert kept.status_code == 201

    run(world, make_config(home, guarded_names="keys/names"), test)


def test_the_list_of_names_is_private(tmp_path: Path) -> None:
    home = home_with_names(make_world(), tmp_path, 0o644)
    with pytest.raises(ConfigError, match=r"O1\.mode"):
        create_app(make_config(home, guarded_names="keys/names"))
    (home / "node.toml").write_text('guarded_names = "keys/names"\n')
    assert load_config(home, b"-").guarded_names == "keys/names"
