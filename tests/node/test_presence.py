"""What heartbeats tell: the clock of this node against the others', and a key in use twice."""

from ledger.consensus import Status
from node.presence import Presence


def beat(signer: int, clock_ms: int, boot: int = 1) -> Status:
    return Status(
        epoch=0,
        view=1,
        final_height=0,
        final_block=bytes(32),
        final_view=0,
        clock_ms=clock_ms,
        boot_id=bytes([boot]) * 16,
        version="test",
        signer=signer,
        signature=bytes(64),
    )


def test_the_median_decides_whether_a_clock_is_fit() -> None:
    presence = Presence()
    assert (presence.offset_ms(), presence.is_clock_fit()) == (0, True)
    presence.learn("h1", beat(1, 3_600_000), 0)
    # Two clocks that differ: nobody knows which of them is wrong.
    assert presence.is_clock_fit()
    presence.learn("h2", beat(2, 3_600_010), 0)
    presence.learn("h3", beat(3, 3_599_000), 0)
    assert (presence.offset_ms(), presence.is_clock_fit()) == (3_599_000, False)


def test_one_liar_does_not_move_the_median() -> None:
    presence = Presence()
    for signer, clock_ms in ((1, 1_010), (2, 990), (3, 9_000_000)):
        presence.learn(f"h{signer}", beat(signer, clock_ms), 1_000)
    assert abs(presence.offset_ms()) <= 10


def test_what_arrives_late_does_not_make_this_clock_look_fast() -> None:
    presence = Presence()
    for signer in (1, 2, 3):
        presence.learn(f"h{signer}", beat(signer, 1_000), 1_000)
        presence.learn(f"h{signer}", beat(signer, 2_000), 9_000)
    assert presence.is_clock_fit()


def test_a_restart_is_no_clone_but_two_lives_at_once_are() -> None:
    presence = Presence()
    assert presence.learn("h1", beat(1, 1, boot=1), 1) == ()
    assert presence.learn("h1", beat(1, 2, boot=2), 2) == ()
    assert presence.learn("h1", beat(1, 3, boot=2), 3) == ()
    assert presence.learn("h1", beat(1, 4, boot=3), 4) == ()
    assert presence.learn("h1", beat(1, 5, boot=2), 5) == (beat(1, 5, boot=2), beat(1, 4, boot=3))
    assert presence.learn("h1", beat(1, 6, boot=3), 6) == (beat(1, 6, boot=3), beat(1, 5, boot=2))


def test_who_is_no_member_any_more_moves_no_median() -> None:
    presence = Presence()
    for signer in (1, 2, 3):
        presence.learn(f"h{signer}", beat(signer, 9_000_000), 1_000)
    assert not presence.is_clock_fit()
    presence.keep({"h1", "h4"})
    assert presence.is_clock_fit()
    # Whoever is number 2 now is another one, and its first life.
    assert presence.learn("h4", beat(2, 1_000, boot=4), 1_000) == ()
    assert presence.learn("h4", beat(2, 2_000, boot=1), 2_000) == ()
