"""What the crash-point sweep of `tests/crash` found, each as a plain test."""

from __future__ import annotations

from tests.engine.world import World


async def test_a_deletion_after_a_lost_create_spares_what_was_edited_there(world: World) -> None:
    """The insert arrived, the worker died; it is edited there, then deleted here."""
    event = await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Theirs"})
    await world.remove(event)
    await world.hurry()
    await world.drain()
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Theirs"], ["Theirs"])
    assert [row["fields"] for row in await world.conflicts()] == [["deleted"]]
    await world.assert_silent()
