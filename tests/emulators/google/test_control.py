"""The control API: everything the emulator can do, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sync_service.emulators.google import ADA, CLIENT_ID, GRACE, TEAM
from tests.emulators.google.client import Google, Json, ids, meeting, reason, weekly

EVENTS = "calendars/primary/events"


async def control(
    google: Google, method: str, path: str, body: Any = None, status: int = 200
) -> Json:
    answer = await google.http.request(method, f"/_emulator/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_people_act_at_googles_side(google: Google) -> None:
    made = await control(google, "POST", f"people/{ADA}/events", {"event": weekly(4, summary="s")})
    path = f"people/{ADA}/events/{made['id']}"
    changed = await control(google, "PATCH", path, {"changes": {"summary": "t"}})
    assert changed["summary"] == "t"
    at = f"people/{ADA}/events/{made['id']}_20261208T090000Z"
    rest = await control(google, "POST", f"{at}/split", {"changes": {}})
    moved = await control(
        google, "POST", f"people/{ADA}/events/{rest['id']}/move", {"destination": TEAM}
    )
    assert moved["organizer"]["email"] == TEAM
    await control(google, "DELETE", path)
    truth = (await control(google, "GET", f"calendars/{ADA}/events"))["items"]
    assert {item["status"] for item in truth} == {"cancelled"}
    assert ids((await control(google, "GET", f"calendars/{TEAM}/events"))["items"]) == [rest["id"]]
    purged = await control(google, "POST", f"calendars/{ADA}/purge")
    assert purged == {"purged": 2}
    invited = meeting(attendees=[{"email": GRACE}])
    made = await control(google, "POST", f"people/{ADA}/events", {"event": invited})
    reply = {"response": "accepted"}
    await control(google, "POST", f"people/{GRACE}/events/{made['id']}/respond", reply)
    answer = await google.ok("GET", f"{EVENTS}/{made['id']}")
    assert answer["attendees"][0]["responseStatus"] == "accepted"


async def test_accounts_calendars_and_roles(google: Google) -> None:
    await control(google, "POST", "accounts", {"email": "kay@example.com", "name": "Kay"})
    calendar = await control(
        google, "POST", "calendars", {"owner": "kay@example.com", "summary": "Lab"}
    )
    path = f"calendars/{quote(calendar['id'], safe='')}"
    await control(google, "POST", f"{path}/share", {"email": ADA, "role": "reader"})
    listed = (await google.ok("GET", "users/me/calendarList"))["items"]
    assert calendar["id"] in ids(listed)
    token = await google.sync_token()
    await control(google, "POST", "sync-tokens/expire", {"calendar": ADA})
    assert reason(await google.call("GET", EVENTS, syncToken=token))[0] == 410
    entry = f"people/{ADA}/calendar-list/{TEAM}"
    assert (await control(google, "PATCH", entry, {"hidden": True}))["hidden"] is True
    await control(google, "DELETE", path)
    overview = await control(google, "GET", "")
    assert len(overview["accounts"]) == 3
    assert calendar["id"] not in ids(overview["calendars"])
    await control(google, "POST", "accounts", {"email": ADA}, status=400)
    await control(google, "POST", "accounts", {}, status=404)
    await control(google, "GET", "calendars/none@x/events", status=404)
    await control(google, "GET", "nothing", status=404)


async def test_tokens_consent_and_revocation(google: Google) -> None:
    uri = "http://localhost:9000/cb"
    await control(
        google, "POST", "clients", {"client_id": "x", "secret": "y", "redirect_uris": [uri]}
    )
    await control(google, "PUT", "auto-consent", {"account": GRACE})
    answer = await google.http.get(
        "/o/oauth2/v2/auth",
        params={
            "client_id": "x",
            "redirect_uri": uri,
            "response_type": "code",
            "scope": "openid",
        },
    )
    assert answer.headers["location"].startswith(uri)
    await control(google, "PUT", "auto-consent", {"enabled": False})
    minted = await control(google, "POST", "tokens", {"email": ADA, "scopes": ["calendar"]})
    headers = {"Authorization": f"Bearer {minted['access_token']}"}
    assert (await google.call("GET", EVENTS, headers=headers)).status_code == 200
    await control(google, "POST", f"people/{ADA}/revoke", {"client_id": CLIENT_ID})
    assert (await google.call("GET", EVENTS, headers=headers)).status_code == 401


async def test_logs_faults_switches_clock_and_state(google: Google) -> None:
    fault = {"kind": "error", "operation": "events.list", "status": 500}
    armed = await control(google, "POST", "faults", fault)
    assert len((await control(google, "GET", "faults"))["items"]) == 1
    assert (await control(google, "DELETE", f"faults/{armed['id']}"))["removed"] is True
    await control(google, "POST", "faults", {"kind": "sabotage"}, status=400)
    await control(google, "DELETE", "faults")
    made = await google.insert(meeting())
    await google.ok("PATCH", f"{EVENTS}/{made['id']}", {"summary": "x"})
    calls = (await control(google, "GET", "calls?write=True"))["items"]
    assert [(c["operation"], c["units"], c["status"], c["account"]) for c in calls] == [
        ("events.insert", 1, 200, ADA),
        ("events.patch", 3, 200, ADA),
    ]
    assert calls[1]["event"] == made["id"]
    assert (await control(google, "GET", "quota"))[f"user:100000000001:{ADA}"] == 4
    await control(google, "DELETE", "calls")
    assert (await control(google, "GET", "calls"))["items"] == []
    switched = await control(google, "PATCH", "switches", {"edge_redelivery": True})
    assert switched["edge_redelivery"] is True
    await control(google, "PATCH", "switches", {"edge_redelivery": "maybe"}, status=400)
    await control(google, "PATCH", "switches", {"unheard_of": 1}, status=400)
    frozen = await control(google, "POST", "clock", {"freeze": 1_800_000_000})
    assert frozen == {"now": 1_800_000_000.0, "frozen": True}
    assert (await control(google, "POST", "clock", {"advance": 5}))["now"] == 1_800_000_005.0
    assert (await control(google, "POST", "clock", {"run": True}))["frozen"] is False
    saved = await control(google, "GET", "state")
    await control(google, "POST", "reset")
    assert google.emulator.events(ADA) == []
    await control(google, "PUT", "state", saved)
    assert ids(google.emulator.events(ADA)) == [made["id"]]
    assert (await control(google, "GET", "webhooks"))["items"] == []
    await control(google, "DELETE", "webhooks")
