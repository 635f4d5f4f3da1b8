"""Pages and sessions: who gets one, what it opens, what it does not, and how it ends."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.encoding import b64url
from ledger.errors import AuthenticationError, LimitError
from ledger.records.governance import KeyBody
from node.permission import PEOPLE, ROUTES
from node.sessions import CODE_S, IDLE_S, MAX_OF_ONE, MAX_SESSIONS, SESSION_S, Sessions
from node.web import STYLE
from node.words import WORDS
from tests.node.test_access import NOT_AFTER, ONE, Stage, rule, run

HOST = "http://127.0.0.1"
OWN = {"origin": HOST}
PAGES = [route for route, access in ROUTES.items() if access.page and route.startswith("GET")]
HTML = {"accept": "text/html"}


async def code_of(stage: Stage, who: str) -> str:
    answer = await stage.ask(who, "POST /api/v1/sessions")
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    return code


@asynccontextmanager
async def browser(
    stage: Stage, who: str | None, **headers: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, in which somebody has opened a session."""
    transport = httpx.ASGITransport(app=stage.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers) as client:
        if who is not None:
            opened = await client.post(
                "/login", data={"code": await code_of(stage, who)}, headers=OWN
            )
            assert opened.status_code == 303, opened.text
        yield client


def test_a_session_sees_what_its_role_may_and_opens_pages_only(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        for role in sorted(PEOPLE):
            async with browser(stage, role) as client:
                for route in PAGES:
                    page = await client.get(route.partition(" ")[2])
                    if role in ROUTES[route].roles:
                        assert page.status_code == 200, (role, route, page.text)
                        assert page.headers["content-type"] == "text/html; charset=utf-8"
                    else:
                        assert rule(page) == (403, "P1"), (role, route)
                home = (await client.get("/", headers=HTML)).text
                shown = set(re.findall(r'href="(/[a-z/]*)\?', home))
                assert shown == {
                    route.partition(" ")[2] for route in PAGES
                    if role in ROUTES[route].roles and route != "GET /login"
                }  # fmt: skip
                for route, access in ROUTES.items():
                    method, path = route.split(" ")
                    if not access.page and not access.is_open:
                        answer = await client.request(method, path.replace("{name}", "0"))
                        assert rule(answer) == (401, "H1"), route
        for role in ("node", "system"):
            assert rule(await stage.ask(role, "POST /api/v1/sessions")) == (403, "P1")

    run(tmp_path, test)


def test_a_code_is_good_once_and_for_its_own_page_only(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with browser(stage, None) as client:
            code = await code_of(stage, "auditor")
            shown = await client.get(f"/login?code={code}")
            assert f'value="{code}"' in shown.text
            form = {"code": code}
            for origin in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
                assert rule(await client.post("/login", data=form, headers=origin)) == (403, "P9")
            opened = await client.post("/login?lang=zh", data=form, headers=OWN)
            assert (opened.status_code, opened.headers["location"]) == (303, "/?lang=zh")
            cookie = opened.headers["set-cookie"]
            assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
            assert "Secure" not in cookie
            again = await client.post("/login", data=form, headers=OWN)
            assert rule(again) == (401, "P7")
            for body in (b"code=%FF%FE", b"\xff", b"&" * 100 + b"a=b" * 1000, b"code"):
                kind = {"content-type": "application/x-www-form-urlencoded", **OWN}
                bad = await client.post("/login", content=body, headers=kind)
                assert bad.status_code in (400, 401), body
        transport = httpx.ASGITransport(app=stage.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client:
            form = {"code": await code_of(stage, "auditor")}
            secure = {"origin": "https://127.0.0.1"}
            opened = await client.post("/login", data=form, headers=secure)
            assert "Secure" in opened.headers["set-cookie"].split("; ")

    run(tmp_path, test)


def test_a_session_ends_with_its_form_alone_and_with_its_key(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with browser(stage, "checker") as client, browser(stage, "auditor") as other:
            token = form_token(await other.get("/"))
            for form in ({"x": "y"}, {"form": token}, {"form": "\u00e9"}):
                refused = await client.post("/logout", data=form, headers=OWN)
                assert rule(refused) == (403, "P9")
            form = {"form": form_token(await client.get("/"))}
            assert rule(await client.post("/logout", data=form)) == (403, "P9")
            kept = dict(client.cookies)
            ended = await client.post("/logout", data=form, headers=OWN)
            assert (ended.status_code, ended.headers["location"]) == (303, "/login?lang=en")
            assert not client.cookies
            assert rule(await client.get("/", headers=as_header(kept))) == (401, "P8")
            # The auditor's key is revoked: the next page is none.
            assert (await other.get("/")).status_code == 200
            body = KeyBody(action="revoke", kid=b64url(stage.signers["auditor"].kid))
            raw = stage.world.record("key", body, not_after=NOT_AFTER)
            done = await stage.ask("officer", "POST /api/v1/entries", content=raw, headers=ONE)
            assert done.status_code == 201
            assert rule(await other.get("/")) == (401, "H5")

    run(tmp_path, test)


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form" value="([^"]{43})"', page.text)
    assert found
    return found[1]


def as_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def test_every_page_is_strict_escaped_and_bilingual(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with (
            browser(stage, "officer", **HTML) as client,
            browser(stage, None, **HTML) as nobody,
        ):
            pages = [await client.get(route.partition(" ")[2]) for route in PAGES]
            attack = await client.get("/pages/credit", params={"object": '"><script>1</script>'})
            away = await nobody.get("/pages/uses?lang=zh")
            assert (attack.status_code, away.status_code) == (404, 401)
            assert "alliance login" in away.text
            for page in (*pages, attack, away):
                assert "<script" not in page.text
                assert "javascript:" not in page.text
                policy = page.headers["content-security-policy"]
                assert policy.startswith("default-src 'none'; ")
                assert "unsafe" not in policy
                assert f"<style>{STYLE}</style>" in page.text
                for name, value in (
                    ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"),
                    ("referrer-policy", "same-origin"), ("cache-control", "no-store"),
                ):  # fmt: skip
                    assert page.headers[name] == value
            assert WORDS["refused"].zh in away.text
            chinese = await client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"})
            assert WORDS["who"].zh in chinese.text
            assert WORDS["who"].en in (await client.get("/?lang=en")).text

    run(tmp_path, test)


# --- the store of sessions ---


def chance(number: int) -> bytes:
    return number.to_bytes(32, "big")


def rule_of(action: Any) -> str:  # noqa: ANN401
    with pytest.raises((AuthenticationError, LimitError)) as refused:
        action()
    return refused.value.rule


def test_codes_and_sessions_end_in_time() -> None:
    sessions = Sessions()
    code = sessions.issue("k", 0, chance(1))
    assert rule_of(lambda: sessions.open(code, CODE_S, chance(2))) == "P7"
    code = sessions.issue("k", 0, chance(3))
    token, session = sessions.open(code, CODE_S - 1, chance(4))
    assert rule_of(lambda: sessions.open(code, CODE_S - 1, chance(5))) == "P7"
    assert token != session.form_token
    now_s = CODE_S - 1
    while now_s + IDLE_S - 1 < session.until_s:
        now_s += IDLE_S - 1
        assert sessions.find(token, now_s).kid == "k"
    assert rule_of(lambda: sessions.find(token, session.until_s)) == "P8"
    assert session.until_s == CODE_S - 1 + SESSION_S
    token, _ = sessions.open(sessions.issue("k", 0, chance(6)), 0, chance(7))
    assert rule_of(lambda: sessions.find(token, IDLE_S)) == "P8"


def test_there_are_not_more_of_them_than_the_node_bears() -> None:
    sessions = Sessions()
    tokens = [
        sessions.open(sessions.issue("k", 0, chance(n)), 0, chance(1_000 + n))[0]
        for n in range(MAX_OF_ONE + 1)
    ]
    assert rule_of(lambda: sessions.find(tokens[0], 1)) == "P8"
    assert sessions.find(tokens[1], 1)
    for n in range(MAX_SESSIONS):
        sessions.issue(f"k{n}", 0, chance(5_000 + n))
    assert rule_of(lambda: sessions.issue("one more", 0, chance(1))) == "H14"
    assert sessions.issue("one more", CODE_S, chance(1))
