// The console: sign in, see what is synced, change it, see it arrive.

import { Api } from "./api.js";
import { showConflicts } from "./conflicts.js";
import { announce, byId } from "./dom.js";
import { Editor } from "./editor.js";
import { History, showDeleted, stillDeleted } from "./history.js";
import { Refused, Session } from "./session.js";
import { addDays, weekOf } from "./times.js";
import { showConnections, showNotifications, showOverview, showWeek } from "./views.js";

const REFRESH_MS = 2000;

const config = await (await fetch("/console/config.json")).json();
const session = new Session(config);
const api = new Api(session);
const past = new History(api, () => refresh());
const openHistory = (id, title) => past.open(id, title);
const editor = new Editor(api, () => refresh(), openHistory);
let week = weekOf(new Date());
let latest = 0;

function switchTo(signedIn) {
  byId("sign-in").hidden = signedIn;
  byId("workspace").hidden = !signedIn;
  byId("sign-out").hidden = !signedIn;
  if (!signedIn) {
    byId("overall").hidden = true;
    byId("queue").textContent = byId("who").textContent = "";
  }
}

async function refresh() {
  if (!session.active) return;
  // Of answers that overtake each other only the newest question counts.
  const question = ++latest;
  const shown = week;
  try {
    const [events, overview, integrations, conflicts, notifications, deleted] = await Promise.all([
      api.everyEvent(shown, addDays(shown, 7)),
      api.call("GET", "/sync-status"),
      api.call("GET", "/integrations"),
      api.call("GET", "/conflicts?status=open&limit=20"),
      api.call("GET", "/notifications?unread=true&limit=20"),
      byId("deleted-list").open ? stillDeleted(api) : null,
    ]);
    if (question !== latest || !session.active) return;
    const calendars = integrations.items.flatMap((integration) => integration.calendars);
    showOverview(overview, session.email);
    showWeek(shown, events, calendars, (event) => editor.open(event));
    showConnections(integrations.items, { sync, disconnect, resume });
    showConflicts(conflicts.items, calendars, settle);
    showNotifications(notifications.items, markRead);
    if (deleted) showDeleted(deleted, { restore, openHistory });
  } catch (fault) {
    if (fault instanceof Refused || fault.status === 401) signOut("Please sign in again.");
    else if (question === latest) announce(fault.message);
  }
}

async function attempt(work, done) {
  try {
    await work();
    if (done) announce(done);
    await refresh();
  } catch (fault) {
    announce(fault.message);
  }
}

const sync = ({ id }) =>
  attempt(() => api.call("POST", `/integrations/${id}/sync`), "Syncing.");
const markRead = ({ id }) => attempt(() => api.call("POST", `/notifications/${id}/read`));

const settle = ({ id }, resolution) =>
  attempt(() => api.call("POST", `/conflicts/${id}/resolve`, { body: { resolution } }), "Settled.");
const restore = ({ event_id, version }) => {
  const body = { version: version - 1 };
  attempt(() => api.call("POST", `/events/${event_id}/restore`, { body }), "Restored.");
};

function resume({ id, name, preview }, approve_deletions) {
  const question = `Delete ${preview?.deletions} events of ${name} here as well?`;
  if (approve_deletions && !confirm(question)) return;
  const body = { approve_deletions };
  attempt(() => api.call("POST", `/calendars/${id}/resume`, { body }), "Resumed.");
}

function disconnect({ id, account_email }) {
  if (!confirm(`Disconnect ${account_email ?? "this account"}? Events stay on both sides.`)) return;
  attempt(() => api.call("DELETE", `/integrations/${id}`), "Disconnected.");
}

function connect() {
  attempt(async () => {
    const body = { return_to: "/console" };
    const { authorization_url } = await api.call("POST", "/connect/google", { body });
    location.assign(authorization_url);
  });
}

function signOut(text = "") {
  session.signOut();
  switchTo(false);
  announce(text);
}

byId("sign-in").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const { elements } = submit.target;
  const fault = submit.target.querySelector(".fault");
  fault.textContent = "";
  try {
    const way = submit.submitter?.value === "up" ? "signUp" : "signIn";
    await session[way](elements.email.value, elements.password.value);
    elements.password.value = "";
    switchTo(true);
    byId("main").focus();
    await refresh();
  } catch (problem) {
    fault.textContent = problem.message;
  }
});

byId("sign-out").addEventListener("click", () => signOut());
byId("connect").addEventListener("click", connect);
byId("create").addEventListener("click", () => {
  const soon = new Date();
  soon.setHours(soon.getHours() + 1, 0, 0, 0);
  const inWeek = soon >= week && soon < addDays(week, 7);
  const start = inWeek ? soon : new Date(week.getTime());
  if (!inWeek) start.setHours(9);
  editor.open(null, start);
});
byId("deleted-list").addEventListener("toggle", () => refresh());
const turn = (to) => {
  week = to;
  refresh();
};
byId("previous").addEventListener("click", () => turn(addDays(week, -7)));
byId("next").addEventListener("click", () => turn(addDays(week, 7)));
byId("today").addEventListener("click", () => turn(weekOf(new Date())));

const returned = new URLSearchParams(location.search);
if (returned.has("status")) {
  const status = returned.get("status");
  announce(
    status === "connected"
      ? "Connected."
      : `The account was not connected: ${status.replaceAll("_", " ")}.`,
  );
  history.replaceState(null, "", "/console");
}

switchTo(session.active);
refresh();
setInterval(() => {
  if (!document.hidden) refresh();
}, REFRESH_MS);
