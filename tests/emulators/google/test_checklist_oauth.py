"""The emulator's faithfulness checklist, statements 1 to 12: OAuth."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from sync_service.emulators.google import ADA, CLIENT_ID, CLIENT_SECRET, GRACE, TEAM
from tests.emulators.google.client import Google, Json, meeting, reason

REDIRECT = "http://localhost:8000/auth/google/callback"
SCOPE = "https://www.googleapis.com/auth/"
EVENTS = SCOPE + "calendar.events"
LIST = SCOPE + "calendar.calendarlist.readonly"
ASK: Json = {
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": f"openid email {EVENTS} {LIST}",
    "access_type": "offline",
    "login_hint": ADA,
    "state": "s/1+2=ü",
}


async def ask(google: Google, **changes: Any) -> httpx.Response:
    query = {k: v for k, v in {**ASK, **changes}.items() if v is not None}
    return await google.http.get("/o/oauth2/v2/auth", params=query)


def answered(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(REDIRECT + "?")
    return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def token(google: Google, **form: Any) -> httpx.Response:
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return await google.http.post("/token", data={**secrets, **form})


async def exchange(google: Google, code: str, **more: Any) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **more}
    return await token(google, **form)


async def refresh(google: Google, text: str) -> httpx.Response:
    return await token(google, grant_type="refresh_token", refresh_token=text)


async def connect(google: Google, **changes: Any) -> Json:
    google.emulator.auto_consent()
    answer = await exchange(google, answered(await ask(google, **changes))["code"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_01_an_unregistered_redirect_uri_stays_on_googles_page(google: Google) -> None:
    google.emulator.auto_consent()
    for uri in (REDIRECT + "/", REDIRECT.replace("localhost", "LOCALHOST"), "https://evil.test/"):
        answer = await ask(google, redirect_uri=uri)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "redirect_uri_mismatch" in answer.text
    assert (await ask(google, client_id="nobody")).status_code == 400


async def test_02_state_comes_back_byte_identical(google: Google) -> None:
    google.emulator.auto_consent()
    assert answered(await ask(google, unheard_of="1"))["state"] == ASK["state"]
    google.emulator.auto_consent(deny=True)
    refused = answered(await ask(google))
    assert refused == {"state": ASK["state"], "error": "access_denied"}


async def test_02_the_consent_page_offers_accounts_scopes_and_a_way_out(google: Google) -> None:
    page = (await ask(google)).text
    assert ADA in page
    assert GRACE in page
    assert page.count('type="checkbox"') == 2
    form = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    sub = google.emulator.account(GRACE).sub
    allow = {**dict(form), "account": sub, "granted": EVENTS, "decision": "allow"}
    answer = answered(await google.http.post("/o/oauth2/v2/auth", data=allow))
    granted = (await exchange(google, answer["code"])).json()
    assert EVENTS in granted["scope"].split()
    assert LIST not in granted["scope"].split()
    answer = await google.http.post("/o/oauth2/v2/auth", data={**allow, "decision": "deny"})
    assert answered(answer)["error"] == "access_denied"


async def test_03_no_refresh_token_without_offline_access(google: Google) -> None:
    assert "refresh_token" not in await connect(google, access_type=None)
    assert "refresh_token" not in await connect(google, access_type="online", prompt="consent")


async def test_04_only_a_fresh_consent_yields_a_refresh_token(google: Google) -> None:
    first = await connect(google)
    assert first["refresh_token"].startswith("1//")
    assert "refresh_token" not in await connect(google)
    again = await connect(google, prompt="consent")
    assert again["refresh_token"] != first["refresh_token"]
    assert (await refresh(google, first["refresh_token"])).status_code == 200
    # More scopes than before are a first consent again.
    wider = await connect(google, scope=f"{ASK['scope']} {SCOPE}calendar.readonly")
    assert "refresh_token" in wider


async def test_05_the_101st_refresh_token_silently_ends_the_oldest(google: Google) -> None:
    texts = [google.emulator.issue_tokens(ADA, ["calendar.events"])[1] for _ in range(101)]
    oldest = await refresh(google, texts[0])
    assert (oldest.status_code, oldest.json()["error"]) == (400, "invalid_grant")
    assert (await refresh(google, texts[1])).status_code == 200
    assert (await refresh(google, texts[100])).status_code == 200
    # Each account has a hundred of its own.
    google.emulator.issue_tokens(GRACE, ["calendar.events"])
    assert (await refresh(google, texts[1])).status_code == 200


async def test_06_testing_clients_lose_refresh_tokens_after_seven_days(google: Google) -> None:
    google.emulator.register_client(testing=True)
    google.emulator.configure(report_refresh_lifetime=True)
    granted = await connect(google)
    assert granted["refresh_token_expires_in"] == 604_799
    google.emulator.clock.advance(7 * 86400 - 60)
    assert (await refresh(google, granted["refresh_token"])).status_code == 200
    google.emulator.clock.advance(61)
    assert (await refresh(google, granted["refresh_token"])).json()["error"] == "invalid_grant"
    google.emulator.register_client(testing=False)
    published = await connect(google, prompt="consent")
    google.emulator.clock.advance(8 * 86400)
    assert (await refresh(google, published["refresh_token"])).status_code == 200


async def test_07_a_code_works_once_in_time_with_its_redirect_and_verifier(
    google: Google,
) -> None:
    google.emulator.auto_consent()
    verifier = "v" * 43
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}

    async def fresh() -> str:
        return answered(await ask(google, **pkce))["code"]

    refused = [
        await exchange(google, await fresh()),
        await exchange(google, await fresh(), code_verifier="w" * 43),
        await exchange(google, await fresh(), code_verifier=verifier, redirect_uri="http://x"),
        await exchange(google, "4/garbage", code_verifier=verifier),
    ]
    code = await fresh()
    assert (await exchange(google, code, code_verifier=verifier)).status_code == 200
    refused.append(await exchange(google, code, code_verifier=verifier))
    late = await fresh()
    google.emulator.clock.advance(601)
    refused.append(await exchange(google, late, code_verifier=verifier))
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    plain = {"code_challenge": verifier, "code_challenge_method": "plain"}
    code = answered(await ask(google, **plain))["code"]
    assert (await exchange(google, code, code_verifier=verifier)).status_code == 200


async def test_07_client_authentication(google: Google) -> None:
    google.emulator.auto_consent()
    code = answered(await ask(google))["code"]
    wrong = await exchange(google, code, client_secret="no")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    basic = await google.http.post("/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    assert basic.status_code == 200
    odd = await token(google, grant_type="password")
    assert (odd.status_code, odd.json()["error"]) == (400, "unsupported_grant_type")


async def test_08_a_subset_of_scopes_can_be_granted(google: Google) -> None:
    google.emulator.auto_consent(scopes=[LIST])
    granted = (await exchange(google, answered(await ask(google))["code"])).json()
    assert LIST in granted["scope"].split()
    assert EVENTS not in granted["scope"].split()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    listed = await google.http.get("/calendar/v3/users/me/calendarList", headers=headers)
    assert listed.status_code == 200
    answer = await google.http.post(
        "/calendar/v3/calendars/primary/events", headers=headers, json=meeting()
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (403, "PERMISSION_DENIED")
    assert error["errors"] == [
        {
            "domain": "global",
            "reason": "insufficientPermissions",
            "message": "Insufficient Permission",
        }
    ]
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert error["details"][0]["metadata"]["method"] == "calendar.v3.Events.Insert"


async def test_09_refreshing(google: Google) -> None:
    granted = await connect(google)
    renewed = (await refresh(google, granted["refresh_token"])).json()
    assert "refresh_token" not in renewed
    assert renewed["expires_in"] == 3599
    assert renewed["access_token"] != granted["access_token"]
    google.emulator.configure(access_token_lifetime_s=2)
    short = (await refresh(google, granted["refresh_token"])).json()
    assert short["expires_in"] == 2
    google.emulator.clock.advance(2)
    info = {"access_token": short["access_token"]}
    assert (await google.http.get("/tokeninfo", params=info)).status_code == 400


async def test_10_revoking_either_token_kills_both_and_the_grant(google: Google) -> None:
    for kind in ("access_token", "refresh_token"):
        granted = await connect(google, prompt="consent")
        answer = await google.http.post("/revoke", data={"token": granted[kind]})
        assert answer.status_code == 200
        assert (await refresh(google, granted["refresh_token"])).status_code == 400
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        call = await google.http.get("/calendar/v3/calendars/primary/events", headers=headers)
        assert call.status_code == 401
        again = await google.http.post("/revoke", data={"token": granted[kind]})
        assert (again.status_code, again.json()["error"]) == (400, "invalid_token")
        assert "refresh_token" in await connect(google)


async def test_11_the_id_token_verifies_against_the_published_keys(google: Google) -> None:
    granted = await connect(google, nonce="n-1")
    metadata = (await google.http.get("/.well-known/openid-configuration")).json()
    keys = jwt.PyJWKSet.from_dict((await google.http.get(metadata["jwks_uri"])).json())
    head = jwt.get_unverified_header(granted["id_token"])
    claims = jwt.decode(
        granted["id_token"],
        keys[head["kid"]].key,
        algorithms=["RS256"],
        audience=CLIENT_ID,
        issuer="https://accounts.google.com",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (claims["email"], claims["nonce"]) == (ADA, "n-1")
    assert claims["sub"] == google.emulator.account(ADA).sub
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    info = (await google.http.get("/openidconnect/v1/userinfo", headers=headers)).json()
    assert (info["sub"], info["email"]) == (claims["sub"], ADA)


async def test_12_unknown_and_expired_bearers(google: Google) -> None:
    text = google.token()
    google.emulator.clock.advance(3600)
    for bearer in (text, "ya29.garbage", ""):
        answer = await google.http.get(
            "/calendar/v3/calendars/primary/events", headers={"Authorization": f"Bearer {bearer}"}
        )
        error = answer.json()["error"]["errors"][0]
        assert (answer.status_code, error["reason"]) == (401, "authError")
        assert (error["locationType"], error["location"]) == ("header", "Authorization")


WRITE = "calendar calendar.events calendar.events.owned calendar.app.created"
READ = f"""{WRITE} calendar.readonly calendar.events.readonly calendar.events.owned.readonly
calendar.events.public.readonly calendar.events.freebusy"""
READ_LIST = "calendar calendar.readonly calendar.calendarlist calendar.calendarlist.readonly"
READ_SETTINGS = "calendar calendar.readonly calendar.settings calendar.settings.readonly"
ACCEPTED = [
    ("POST", EVENT := "calendars/primary/events", WRITE),
    ("PUT", f"{EVENT}/none12345", WRITE),
    ("PATCH", f"{EVENT}/none12345", WRITE),
    ("DELETE", f"{EVENT}/none12345", WRITE),
    ("POST", f"{EVENT}/import", WRITE),
    ("POST", f"{EVENT}/quickAdd", WRITE),
    ("POST", f"{EVENT}/none12345/move", WRITE.replace("calendar.app.created", "")),
    ("GET", EVENT, READ),
    ("GET", f"{EVENT}/none12345", READ),
    ("GET", f"{EVENT}/none12345/instances", READ),
    ("POST", f"{EVENT}/watch", READ),
    ("GET", "users/me/calendarList", READ_LIST),
    ("POST", "users/me/calendarList/watch", READ_LIST),
    ("GET", "users/me/calendarList/primary", f"{READ_LIST} calendar.app.created"),
    (
        "GET",
        "calendars/primary",
        """calendar calendar.readonly calendar.calendars calendar.calendars.readonly
        calendar.app.created""",
    ),
    ("GET", "users/me/settings", READ_SETTINGS),
    ("GET", "users/me/settings/timezone", READ_SETTINGS),
    ("GET", "colors", f"{READ_LIST} calendar.events.owned calendar.events.owned.readonly"),
    (
        "POST",
        "freeBusy",
        "calendar calendar.readonly calendar.freebusy calendar.events.freebusy",
    ),
    (
        "POST",
        "channels/stop",
        f"{READ} {READ_LIST} {READ_SETTINGS} calendar.acls calendar.acls.readonly",
    ),
]


@pytest.mark.parametrize(("method", "path", "accepted"), ACCEPTED)
async def test_12_scope_tables(google: Google, method: str, path: str, accepted: str) -> None:
    google.emulator.configure(user_units_per_minute=None)
    every = {scope for _, _, scopes in ACCEPTED for scope in scopes.split()}
    taken: set[str] = set()
    for scope in every:
        body: Json | None = None if method in ("GET", "DELETE") else {}
        answer = await google.call(method, path, body, scopes=(scope,))
        if answer.status_code != 403 or reason(answer)[1] != "insufficientPermissions":
            taken.add(scope)
    assert taken == set(accepted.split())


async def test_12_narrow_scopes_see_only_their_calendars(google: Google) -> None:
    google.emulator.share(TEAM, GRACE, "writer")
    team = f"calendars/{TEAM}/events"
    for scope, email, status in (
        ("calendar.events.owned", ADA, 200),
        ("calendar.events.owned", GRACE, 404),
        ("calendar.events.public.readonly", ADA, 404),
    ):
        assert (await google.call("GET", team, who=email, scopes=(scope,))).status_code == status
