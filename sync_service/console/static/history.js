// What happened to an event, why it is where it is, and the way back.

import { plain } from "./conflicts.js";
import { announce, button, byId, make, nothing, show, words } from "./dom.js";
import { momentText } from "./times.js";

const titleOf = (entry) => entry.detail.title || "(no title)";

export class History {
  constructor(api, afterwards) {
    this.api = api;
    this.afterwards = afterwards;
    this.dialog = byId("event-history");
    this.fault = this.dialog.querySelector(".fault");
    this.more = byId("history-more");
    this.more.addEventListener("click", () => this.#run(() => this.#load()));
    byId("history-close").addEventListener("click", () => this.dialog.close());
  }

  async open(id, title) {
    this.id = id;
    this.entries = [];
    this.cursor = null;
    byId("history-title").textContent = `History of ${title || "(no title)"}`;
    byId("history-now").textContent = "";
    byId("history-items").replaceChildren();
    this.more.hidden = true;
    this.dialog.showModal();
    await this.#run(() => this.#load());
  }

  async #load() {
    const query = new URLSearchParams({ limit: "100" });
    if (this.cursor) query.set("cursor", this.cursor);
    const page = await this.api.call("GET", `/events/${this.id}/history?${query}`);
    this.entries.push(...page.items);
    this.cursor = page.next_cursor;
    this.more.hidden = !this.cursor;
    byId("history-now").textContent = page.explanation;
    byId("history-items").replaceChildren(...this.entries.map((entry) => this.#item(entry)));
  }

  #item(entry) {
    const { at, action, source, changed, before, version, detail } = entry;
    const replaced = changed
      .filter((field) => field in before)
      .map((field) => `${words(field)}: was ${plain(before[field])}`);
    const newest = Math.max(...this.entries.map((each) => each.version ?? 0));
    const back = version && version < newest && action !== "event.deleted";
    return make(
      "li",
      { className: "item" },
      make("strong", { textContent: words(action.replace(".", " ")) }),
      make("span", { className: "muted", textContent: ` ${momentText(at)}, from ${source}` }),
      ...replaced.map((text) => make("p", { textContent: text })),
      detail.code ? make("p", { className: "fault", textContent: detail.detail }) : null,
      back
        ? button("Put this version back", `version ${version}`, `version ${version}`, () =>
            this.#run(() => this.#restore(version)),
          )
        : null,
    );
  }

  async #restore(version) {
    await this.api.call("POST", `/events/${this.id}/restore`, { body: { version } });
    this.dialog.close();
    announce("Put back.");
    await this.afterwards();
  }

  async #run(work) {
    this.fault.textContent = "";
    try {
      await work();
    } catch (problem) {
      this.fault.textContent = problem.message;
    }
  }
}

// The log's deletions that nothing has undone yet, newest first.
export async function stillDeleted(api) {
  const query = "action=event.deleted&action=event.restored&limit=50";
  const { items } = await api.call("GET", `/audit?${query}`);
  const latest = new Map();
  for (const entry of items) if (!latest.has(entry.event_id)) latest.set(entry.event_id, entry);
  const deleted = [...latest.values()].filter(({ action }) => action === "event.deleted");
  const gone = await Promise.all(deleted.map((entry) => entry.changed.length || removed(api, entry)));
  return deleted.filter((_, number) => gone[number]);
}

// A removed row comes back as a new one: then its creation is the later entry.
async function removed(api, entry) {
  const query = `event_id=${entry.event_id}&action=event.deleted&action=event.created&limit=1`;
  const { items } = await api.call("GET", `/audit?${query}`);
  return items[0]?.id === entry.id;
}

export function showDeleted(entries, act) {
  show(byId("deleted"), entries, () =>
    entries.length === 0
      ? [nothing("None.")]
      : entries.map((entry) =>
          make(
            "div",
            { className: "item" },
            make("strong", { textContent: titleOf(entry) }),
            make("p", {
              className: "muted",
              textContent: `deleted ${momentText(entry.at)}, from ${entry.source}`,
            }),
            make(
              "div",
              { className: "row" },
              button("Restore", `restore ${entry.event_id}`, titleOf(entry), () =>
                act.restore(entry),
              ),
              button("History", `past ${entry.event_id}`, titleOf(entry), () =>
                act.openHistory(entry.event_id, entry.detail.title),
              ),
            ),
          ),
        ),
  );
}
