// Conflicts: both versions of what went two ways, and the choice between them.

import { button, byId, make, nothing, show, words } from "./dom.js";
import { momentText } from "./times.js";

export function showConflicts(conflicts, calendars, settle) {
  const names = new Map(calendars.map((calendar) => [calendar.id, calendar.name]));
  show(byId("conflicts"), [conflicts, [...names]], () =>
    conflicts.length === 0
      ? [nothing("None.")]
      : conflicts.map((conflict) =>
          card(conflict, names.get(conflict.calendar_id) ?? "the calendar", settle),
        ),
  );
}

function card(conflict, calendar, settle) {
  const title = conflict.local?.title || conflict.remote?.title || "An event";
  const choice = (text, resolution) =>
    button(text, `${resolution} ${conflict.id}`, title, () => settle(conflict, resolution));
  return make(
    "div",
    { className: "item" },
    make("strong", { textContent: title }),
    make("p", {
      className: "muted",
      textContent: `Changed here and in ${calendar}, ${momentText(conflict.created_at)}`
        + (conflict.winner ? `; ${conflict.winner === "local" ? "mine" : "theirs"} holds` : ""),
    }),
    make(
      "dl",
      {},
      ...conflict.fields.flatMap((field) => [
        make("dt", { textContent: words(field) }),
        make("dd", { textContent: `Mine: ${said(field, conflict.local)}` }),
        make("dd", { textContent: `Theirs: ${said(field, conflict.remote)}` }),
      ]),
    ),
    make("div", { className: "row" }, choice("Keep mine", "local"), choice("Keep theirs", "remote")),
  );
}

// What one side says about a part of the event.
function said(field, side) {
  if (!side) return "deleted";
  if (field === "deleted") return side.title || "(no title)";
  if (field === "time") {
    const day = (value) => new Date(value).toISOString().slice(0, 10);
    const text = side.all_day ? day : momentText;
    return `${text(side.start)} – ${text(side.end)}${side.all_day ? ", exclusive" : ""}`;
  }
  return plain(side[field]);
}

export function plain(value) {
  if (value === undefined || value === null || value === "") return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
