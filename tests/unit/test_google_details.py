"""Guest lists that Google shows in part, and conferences that are made later or not at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sync_service.core.event import Content
from sync_service.core.merge import merge
from sync_service.providers.base import RemoteEvent
from sync_service.providers.google import codec
from tests.contents import content

DAY = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
WISH = {"create": "google_meet"}
MADE = {"url": "https://meet.google.com/abc", **WISH}
FAILED = {"status": "failed", **WISH}
ELSEWHERE = {"url": "https://call.example.com/1"}
GUESTS = frozenset({"attendees"})
CONFERENCE = frozenset({"conference"})


def read(**fields: Any) -> RemoteEvent:
    return codec.read_event({"id": "abcde", **DAY, **fields}, None)


def answering(event: RemoteEvent, response: str) -> Content:
    guests = [
        msgspec.structs.replace(guest, response=response) for guest in event.content.attendees
    ]
    return msgspec.structs.replace(event.content, attendees=tuple(guests))


def test_a_list_that_was_shown_in_part_is_never_written_back() -> None:
    mine = {"email": "ada@example.com", "self": True, "additionalGuests": 1}
    event = read(attendeesOmitted=True, organizer={"self": True}, attendees=[mine])
    wanted = answering(event, "accepted")
    assert codec.refusals(wanted, GUESTS, event.content, event.data) == {}
    assert codec.write_event(wanted, GUESTS, event.data) == {
        "attendeesOmitted": True,
        "attendees": [
            {"email": "ada@example.com", "responseStatus": "accepted", "additionalGuests": 1}
        ],
    }
    alone = msgspec.structs.replace(wanted, attendees=())
    refused = codec.refusals(alone, GUESTS, event.content, event.data)
    assert "only some of its guests" in refused["attendees"]


def test_who_is_not_on_the_list_has_no_answer_to_give() -> None:
    event = read(organizer={"email": "b@c.d"}, attendees=[{"email": "team@example.com"}])
    assert set(codec.refusals(answering(event, "accepted"), GUESTS, event.content, event.data)) == {
        "attendees"
    }


def conference_request(status: str) -> dict[str, Any]:
    return {"createRequest": {"requestId": "r", "status": {"statusCode": status}}}


@pytest.mark.parametrize(
    ("google", "ours"), [("pending", "pending"), ("failure", "failed"), ("new", "pending")]
)
def test_a_conference_on_its_way_says_how_far_it_is(google: str, ours: str) -> None:
    conference = read(conferenceData=conference_request(google)).content.conference
    assert conference is not None
    assert (conference["create"], conference["status"]) == ("google_meet", ours)


def test_the_same_wish_has_the_same_id_and_another_one_another() -> None:
    def request_id(seed: str) -> str:
        body = codec.write_event(content(conference=WISH), CONFERENCE, seed=seed)
        return body["conferenceData"]["createRequest"]["requestId"]

    assert request_id("one") == request_id("one") != request_id("two")


@pytest.mark.parametrize(
    ("base", "local", "remote", "merged"),
    [
        (None, WISH, MADE, MADE),
        (WISH, None, MADE, None),
        (WISH, None, FAILED, None),
        (WISH, ELSEWHERE, MADE, ELSEWHERE),
        (WISH, ELSEWHERE, FAILED, ELSEWHERE),
        (FAILED, WISH, MADE, MADE),
    ],
)
@pytest.mark.parametrize("prefer", ["local", "remote"])
def test_what_became_of_a_wish_contradicts_nothing(
    base: Any, local: Any, remote: Any, merged: Any, prefer: Any
) -> None:
    was, ours, theirs = (content(conference=each) for each in (base, local, remote))
    found = merge(was, ours, theirs, CONFERENCE, prefer=prefer)
    assert (found.content.conference, found.conflicts) == (merged, frozenset())


def test_two_different_conferences_are_a_conflict() -> None:
    one, other = content(conference=ELSEWHERE), content(conference={"url": "https://x.example/2"})
    assert merge(content(), one, other, CONFERENCE, prefer="local").conflicts == {"conference"}


def test_attachments_added_on_two_sides_both_hold() -> None:
    one, other = {"url": "https://x.example/1"}, {"url": "https://x.example/2"}
    found = merge(
        content(), content(attachments=(one,)), content(attachments=(other,)),
        frozenset({"attachments"}), prefer="local",
    )  # fmt: skip
    assert (found.content.attachments, found.conflicts) == ((one, other), frozenset())


def test_true_is_not_one() -> None:
    base, changed = content(metadata={"a": 1}), content(metadata={"a": True})
    found = merge(base, changed, base, frozenset({"metadata"}), prefer="remote")
    assert found.content.metadata["a"] is True
