// From answers of the API to what is on the page.

import { button, byId, make, nothing, show, words } from "./dom.js";
import { addDays, dayKey, dayText, daysOf, momentText, monthText, timeText } from "./times.js";

export function showOverview(overview, email) {
  const pill = byId("overall");
  pill.hidden = false;
  pill.className = `pill ${overview.state}`;
  pill.textContent = words(overview.state);
  const { pending, processing, failed } = overview.queue;
  byId("queue").textContent = `${pending + processing} to push or pull, ${failed} failed`;
  byId("who").textContent = email;
}

export function showWeek(start, events, calendars, open) {
  byId("week-title").textContent = monthText(start);
  const names = new Map(calendars.map((calendar) => [calendar.id, calendar.name]));
  const days = Array.from({ length: 7 }, (_, number) => addDays(start, number));
  const keys = new Set(days.map(dayKey));
  const inWeek = new Map([...keys].map((key) => [key, []]));
  const repeating = [];
  for (const event of events) {
    const touched = daysOf(event).filter((key) => keys.has(key));
    for (const key of touched) inWeek.get(key).push(event);
    if (touched.length === 0 && event.recurrence) repeating.push(event);
  }
  const today = dayKey(new Date());
  show(byId("days"), [today, [...inWeek], [...names]], () =>
    days.map((day) => {
      const key = dayKey(day);
      return make(
        "section",
        { className: key === today ? "day now" : "day", ariaLabel: dayText(day) },
        make("h3", { textContent: dayText(day) }),
        ...inWeek.get(key).map((event) => eventButton(event, key, names, open)),
      );
    }),
  );
  show(byId("repeating"), [repeating, [...names]], () =>
    repeating.length === 0
      ? []
      : [
          make("h3", { textContent: "Repeating, begun earlier" }),
          ...repeating.map((event) => eventButton(event, "repeating", names, open)),
        ],
  );
}

function eventButton(event, place, names, open) {
  const badges = event.sync.map((state) =>
    make("span", {
      className: `badge ${state.status}`,
      textContent: `${names.get(state.calendar_id) ?? state.provider}: ${state.status}`,
      title: state.error?.detail ?? `last synced: ${momentText(state.last_synced_at)}`,
    }),
  );
  const button = make(
    "button",
    { type: "button", className: "event", data: { key: `${event.id} ${place}` } },
    make("strong", { textContent: event.title || "(no title)" }),
    make("span", {
      className: "muted",
      textContent: timeText(event) + (event.recurrence ? " · repeats" : ""),
    }),
    make("br"),
    ...(badges.length ? badges : [make("span", { className: "badge", textContent: "only here" })]),
  );
  button.addEventListener("click", () => open(event));
  return button;
}

export function showConnections(integrations, act) {
  show(byId("connections"), integrations, () =>
    integrations.length === 0
      ? [nothing("No account is connected yet.")]
      : integrations.map((integration) => connection(integration, act)),
  );
}

function connection(integration, act) {
  const name = integration.account_email ?? integration.provider;
  const calendars = integration.calendars
    .filter((calendar) => calendar.enabled)
    .map((calendar) =>
      make(
        "li",
        {},
        make("span", { textContent: `${calendar.name} ` }),
        make("span", {
          className: `badge ${calendar.state}`,
          textContent: words(calendar.state),
          title: calendar.last_error?.detail ?? calendar.state_reason ?? "",
        }),
        make("span", {
          className: "muted",
          textContent: `last synced ${momentText(calendar.last_synced_at)}`,
        }),
        ...(calendar.state === "paused" ? paused(calendar, act) : []),
      ),
    );
  const others = integration.calendars.length - calendars.length;
  const buttons = [];
  if (integration.status === "active") {
    buttons.push(button("Sync now", `sync ${integration.id}`, name, () => act.sync(integration)));
  }
  if (integration.status !== "disconnected") {
    buttons.push(
      button("Disconnect", `end ${integration.id}`, name, () => act.disconnect(integration)),
    );
  }
  return make(
    "div",
    { className: "item" },
    make("strong", { textContent: `${name} ` }),
    make("span", {
      className: `badge ${integration.status}`,
      textContent: words(integration.status),
    }),
    make("ul", {}, ...calendars),
    others > 0 ? nothing(`${others} more calendars, not enabled`) : null,
    make("div", { className: "row" }, ...buttons),
  );
}

// Why a calendar is paused, what would go, and the way on.
function paused(calendar, act) {
  const { deletions, of, events = [] } = calendar.preview ?? {};
  const resume = (text, key, approve) =>
    button(text, `${key} ${calendar.id}`, calendar.name, () => act.resume(calendar, approve));
  const reason = calendar.state_reason ? [make("p", { textContent: calendar.state_reason })] : [];
  if (!deletions) {
    return [...reason, make("div", { className: "row" }, resume("Resume", "resume", null))];
  }
  const more = deletions - events.length;
  return [
    ...reason,
    make(
      "details",
      {},
      make("summary", { textContent: `${deletions} of ${of} events would be deleted` }),
      make(
        "ul",
        {},
        ...events.map((event) =>
          make("li", {
            textContent: `${event.title || "(no title)"}, ${momentText(event.start_time)}`,
          }),
        ),
      ),
      more > 0 ? nothing(`and ${more} more`) : null,
    ),
    make(
      "div",
      { className: "row" },
      resume("Delete them", "approve", true),
      resume("Bring them back", "refuse", false),
    ),
  ];
}

export function showNotifications(notifications, markRead) {
  show(byId("notifications"), notifications, () =>
    notifications.length === 0
      ? [nothing("Nothing new.")]
      : notifications.map((notification) =>
          make(
            "div",
            { className: "item" },
            make("p", { textContent: notification.message }),
            make("p", { className: "muted", textContent: momentText(notification.updated_at) }),
            button("Mark as read", `read ${notification.id}`, notification.message, () =>
              markRead(notification),
            ),
          ),
        ),
  );
}
