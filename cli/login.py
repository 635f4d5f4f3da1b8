"""`alliance login`: a session for a browser, opened by the key that signs (SPEC 13.8)."""

import sys
import webbrowser
from typing import Annotated

import typer

from cli.home import way_to_node
from cli.options import Place
from cli.screen import language, say, show, wants_json
from cli.session import Session


def login(
    place: Place,
    opens: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the browser, where there is one.")
    ] = True,
) -> None:
    """Open the pages of the node in a browser, in the name of a key; its address is good for one
    minute, and once.
    """
    url, _trust = way_to_node(place.home, place.node)
    with Session(place) as session:
        code, seconds = session.client.login()
    address = f"{url}/login?code={code}&lang={language()}"
    shown = {"address": address, "code": code, "seconds": seconds}
    lines = [say("login-address", address=address), say("login-good", seconds=seconds)]
    show(shown, lines)
    if opens and not wants_json() and sys.stdin.isatty():
        webbrowser.open(address)
