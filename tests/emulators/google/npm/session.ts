// A session of Google's own Node.js client with the emulator; any surprise ends it with an error.

import assert from "node:assert/strict";
import { auth, calendar } from "@googleapis/calendar";

const [base, clientId, clientSecret, refreshToken, team] = Deno.args;

const who = new auth.OAuth2({
  clientId,
  clientSecret,
  endpoints: { oauth2TokenUrl: `${base}/token` },
});
who.setCredentials({ refresh_token: refreshToken });
const api = calendar({ version: "v3", auth: who, rootUrl: `${base}/`, retry: false });
const calendarId = "primary";

function meeting(day: string, hour: number) {
  const at = (h: number) => ({
    dateTime: `2026-11-${day}T${h}:00:00`,
    timeZone: "Europe/Berlin",
  });
  return { start: at(hour), end: at(hour + 1) };
}

async function refusal(call: Promise<unknown>) {
  try {
    await call;
  } catch (error) {
    // deno-lint-ignore no-explicit-any
    const answer = (error as any).response;
    return [answer.status, answer.data.error.errors[0].reason];
  }
  throw new Error("not refused");
}

// Listing in pages, to a sync token.
for (let n = 0; n < 5; n++) {
  const made = await api.events.insert({
    calendarId,
    requestBody: { id: `abcde${n}`, summary: `${n}`, ...meeting("24", 10 + n) },
  });
  assert.equal(made.status, 200);
}
let syncToken: string | undefined;
let pageToken: string | undefined;
const sizes: number[] = [];
do {
  const page = await api.events.list({ calendarId, maxResults: 2, pageToken });
  sizes.push(page.data.items!.length);
  pageToken = page.data.nextPageToken ?? undefined;
  syncToken = page.data.nextSyncToken ?? undefined;
} while (pageToken);
assert.deepEqual(sizes, [2, 2, 1]);

// Editing, with and against a precondition; deleting, twice.
const patched = await api.events.patch({
  calendarId,
  eventId: "abcde0",
  requestBody: { summary: "renamed", description: null },
});
assert.equal(patched.data.summary, "renamed");
const stale = { headers: { "If-Match": '"1"' } };
assert.deepEqual(
  await refusal(
    api.events.update({ calendarId, eventId: "abcde0", requestBody: patched.data }, stale),
  ),
  [412, "conditionNotMet"],
);
const fresh = { headers: { "If-Match": patched.data.etag! } };
await api.events.update({ calendarId, eventId: "abcde0", requestBody: patched.data }, fresh);
assert.equal((await api.events.delete({ calendarId, eventId: "abcde1" })).status, 204);
assert.deepEqual(await refusal(api.events.delete({ calendarId, eventId: "abcde1" })), [
  410,
  "deleted",
]);
assert.deepEqual(
  await refusal(
    api.events.insert({ calendarId, requestBody: { id: "abcde1", ...meeting("24", 9) } }),
  ),
  [409, "duplicate"],
);
const delta = await api.events.list({ calendarId, syncToken });
assert.deepEqual(
  delta.data.items!.map((item) => [item.id, item.status]),
  [["abcde0", "confirmed"], ["abcde1", "cancelled"]],
);
assert.deepEqual(await refusal(api.events.list({ calendarId, syncToken: "spoiled" })), [
  410,
  "fullSyncRequired",
]);

// A series, one of its occurrences, and a channel that hears of them.
const messages: (string | null)[][] = [];
let arrived = () => {};
const names = ["channel-id", "resource-state", "message-number", "channel-token"];
const receiver = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
  if (request.method === "POST") {
    messages.push(names.map((name) => request.headers.get(`x-goog-${name}`)));
    arrived();
  }
  return new Response(null, { status: request.method === "POST" ? 204 : 404 });
});
const address = `http://127.0.0.1:${receiver.addr.port}/hooks/google`;
const channel = await api.events.watch({
  calendarId,
  requestBody: { id: "from-node", type: "web_hook", address, token: "t" },
});
assert.match(channel.data.expiration!, /^\d{13}$/);
const series = await api.events.insert({
  calendarId,
  requestBody: { ...meeting("24", 15), recurrence: ["RRULE:FREQ=WEEKLY;COUNT=3"] },
});
const eventId = series.data.id!;
const instances = await api.events.instances({ calendarId, eventId });
assert.equal(instances.data.items!.length, 3);
const second = instances.data.items![1];
assert.equal(second.id, `${eventId}_20261201T140000Z`);
const edited = await api.events.update({
  calendarId,
  eventId: second.id!,
  requestBody: { ...second, summary: "just this one" },
});
assert.equal(edited.data.recurringEventId, eventId);
await api.events.delete({ calendarId, eventId: instances.data.items![2].id! });
const left = await api.events.instances({ calendarId, eventId });
assert.deepEqual(left.data.items!.map((item) => item.summary), [undefined, "just this one"]);
while (messages.length < 4) await new Promise<void>((resolve) => (arrived = resolve));
assert.deepEqual(messages[0], ["from-node", "sync", "1", "t"]);
assert(messages.slice(1).every((message) => message[1] === "exists"));
const moved = await api.events.move({ calendarId, eventId, destination: team });
assert.equal(moved.data.organizer!.email, team);
const resource = { id: channel.data.id, resourceId: channel.data.resourceId };
assert.equal((await api.channels.stop({ requestBody: resource })).status, 204);

// What is around the events.
const calendars = await api.calendarList.list();
assert.equal(calendars.data.items!.length, 3);
assert.equal((await api.settings.get({ setting: "timezone" })).data.value, "Europe/Berlin");
assert.equal(Object.keys((await api.colors.get()).data.event!).length, 11);
const busy = await api.freebusy.query({
  requestBody: {
    timeMin: "2026-11-24T00:00:00Z",
    timeMax: "2026-11-25T00:00:00Z",
    items: [{ id: calendarId }],
  },
});
assert.equal(busy.data.calendars!.primary.busy!.length, 2);
await receiver.shutdown();
