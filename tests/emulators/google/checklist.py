"""What makes the emulator faithful, statement by statement, and the tests behind each.

Run it with `python -m tests.emulators.google.checklist`; it fails when a statement has no test. A
test named `test_NN_…` is behind statement NN; tests of other names are listed in `_ALSO`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
STATEMENTS: dict[int, str] = {
    1: "An unregistered redirect_uri is refused on Google's own page, without a redirect.",
    2: "`state` comes back byte-identical; unknown parameters are ignored.",
    3: "Without access_type=offline there is no refresh token.",
    4: "A second consent yields a refresh token only with prompt=consent; older ones stay valid.",
    5: "The 101st live refresh token of a user and client silently ends the oldest.",
    6: 'Refresh tokens of clients in "Testing" end after seven days.',
    7: "A code works once, for ten minutes, with its redirect_uri and its PKCE verifier.",
    8: "A subset of the scopes can be granted; calls outside it are refused by scope.",
    9: "Refreshing returns no refresh token; expires_in is 3599 and configurable.",
    10: "Revoking either token kills both and the grant; a second time is refused.",
    11: "The id_token is RS256 and verifies against the published keys.",
    12: "Bad bearers get 401 authError; each method takes its scopes and no others.",
    13: "Each page has exactly one of nextPageToken and nextSyncToken.",
    14: "Intermediate pages can be short and empty.",
    15: "Pages hold 250 events by default and 2500 at most (calendar list 100 and 250).",
    16: "Parameters forbidden beside a sync token are refused.",
    17: "Changes made while paging are on a later page or in the next delta.",
    18: "Deltas hold current states, deletions and own writes, and nothing unchanged.",
    19: "A sync token is bound to calendar, user and parameters.",
    20: "Sync tokens die on command and by a change of access: 410 fullSyncRequired.",
    21: "Orders and filters withhold the sync token; timeMin and timeMax do not.",
    22: "timeMin tests the end, timeMax the start, both exclusive and with an offset.",
    23: "showDeleted and singleEvents select as documented, in all four combinations.",
    24: "Cancelled exceptions are in a plain full list.",
    25: "Cancelled items can be reduced to the guaranteed fields.",
    26: "Tombstones can be purged; their ids still collide.",
    27: "singleEvents=true expands right across clock changes, without masters.",
    28: "Free/busy readers see expanded times only; readers see private events masked.",
    29: "eventTypes filters lists and channels.",
    30: "Default values and empty arrays are absent.",
    31: "Insert answers 200 with everything the server fills in.",
    32: "Ids outside [a-v0-9]{5,1024} are refused.",
    33: "An id in use, also by a deleted event, is a duplicate.",
    34: "Malformed times, zones and rules are refused.",
    35: "An end before or at the start is refused; zero-length events can be read.",
    36: "PUT resets what it omits, PATCH merges; version flags protect what they name.",
    37: "Every change has a new etag; reminder edits keep `updated`.",
    38: "If-Match and If-None-Match are honoured.",
    39: "DELETE answers 204, then 410; unknown ids 404; deleted events can be read.",
    40: "Writing status=confirmed revives a tombstone with its id.",
    41: "Editing or deleting an occurrence makes an exception; the series' rule stays.",
    42: "Deleting a series cancels it and its exceptions.",
    43: "Moving keeps the id, leaves a tombstone, tells both calendars, takes default events only.",
    44: "Extended properties are dropped and cut in silence, private ones per copy.",
    45: "Reminders out of range are refused.",
    46: "Guests have copies with the same id and an etag of their own.",
    47: "Guest flags belong to the organizer; a PUT that omits them is refused.",
    48: "Roles below writer get 403, invisible calendars 404.",
    49: "Times are rendered in the response's zone.",
    50: "A conference is pending first and arrives as a second change.",
    51: "watch validates, and answers with the channel.",
    52: "The sync message has number 1 and comes first; later numbers have gaps.",
    53: "Messages are bodyless POSTs with all headers; none after expiry or stop.",
    54: "500, 502, 503 and 504 are retried, all other failures dropped.",
    55: "Messages can be dropped, delayed, doubled and reordered, reproducibly.",
    56: "Stopping needs id, resourceId, and the same user and client.",
    57: "Generated calendars refuse watch.",
    58: "Limits give their exact reasons; a patch costs 3 units, a batch its parts.",
    59: "Batches map Content-ID, can be shuffled, and isolate failures.",
    60: "Partial responses, gzip, paths and injected faults work.",
    61: "Time, chance and state are under control.",
    62: "Error bodies are exact.",
}
_ALSO: dict[int, tuple[str, ...]] = {
    13: ("test_gcal_sync", "test_google_api_python_client", "test_googleapis_for_node"),
    27: ("test_occurrences", "test_another_expansion_agrees"),
    40: (
        "test_cancelling_and_reviving_one_occurrence",
        "test_what_no_longer_occurs_cannot_be_revived",
        "test_a_deleted_series_comes_back_with_its_exceptions",
    ),
    41: (
        "test_an_exception_keeps_its_id_and_its_original_start",
        "test_an_all_day_exception",
        "test_edits_of_the_series_flow_into_untouched_fields",
        "test_a_new_start_keeps_the_exceptions_that_still_occur",
        "test_exceptions_go_on_under_new_ids",
        "test_no_occurrence_is_lost_or_doubled",
    ),
    43: ("test_moving_a_series",),
    46: ("test_guests_follow_the_organizers_series",),
    50: ("test_conferences_finish_by_themselves",),
    59: ("test_google_api_python_client",),
    60: ("test_cut_connections",),
}


def tests() -> list[str]:
    """The names of all tests beside this file."""
    names: list[str] = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                names += [node.name] if node.name.startswith("test_") else []
    return names


def evidence() -> dict[int, list[str]]:
    """The tests behind each number, numbers without a statement among them.

    Raises:
        LookupError: A listed test is gone.
    """
    found: dict[int, list[str]] = {number: [] for number in STATEMENTS}
    names = tests()
    for name in names:
        if match := re.match(r"test_(\d\d)_", name):
            found.setdefault(int(match[1]), []).append(name)
    for number, listed in _ALSO.items():
        if gone := set(listed) - set(names):
            raise LookupError(f"no such tests: {', '.join(sorted(gone))}")
        found[number] += listed
    return found


def main() -> int:
    """Print the checklist; 1 when a statement has no test."""
    found = evidence()
    for number, text in STATEMENTS.items():
        print(f"{number:2} {text}")
        for name in found[number] or ["NO TEST"]:
            print(f"     {name}")
    bare = [number for number in STATEMENTS if not found[number]]
    print(f"{len(STATEMENTS)} statements, {len(bare)} without a test")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main())
