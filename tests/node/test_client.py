"""The client of people and programs, where a connection ends in the middle."""

import httpx
import pytest

from node.client import NodeClient, UnreachableError


class Closing:
    """A node that closes the first connections without a word."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        if len(self.asked) <= self.times:
            raise httpx.RemoteProtocolError("closed")
        return httpx.Response(200, content=b"")

    def client(self) -> NodeClient:
        return NodeClient("http://node.example", transport=httpx.MockTransport(self))


def test_who_only_asks_asks_once_more_where_a_kept_connection_was_just_closed() -> None:
    node = Closing(1)
    with node.client() as client:
        assert client.blocks(0) == []
    assert node.asked == ["GET", "GET"]


def test_a_node_that_closes_again_cannot_be_reached() -> None:
    node = Closing(3)
    with node.client() as client, pytest.raises(UnreachableError):
        client.blocks(0)
    assert node.asked == ["GET", "GET"]


def test_what_is_handed_in_is_not_handed_in_twice_by_itself() -> None:
    node = Closing(1)
    with node.client() as client, pytest.raises(UnreachableError):
        client.submit(b"entry")
    assert node.asked == ["POST"]
