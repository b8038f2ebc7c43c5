// The dialog that creates, changes and deletes an event.

import { announce, byId } from "./dom.js";
import { fromInput, toInput } from "./times.js";

export class Editor {
  constructor(api, afterwards, openHistory) {
    this.api = api;
    this.afterwards = afterwards;
    this.dialog = byId("editor");
    this.form = this.dialog.querySelector("form");
    this.fault = this.form.querySelector(".fault");
    const { elements } = this.form;
    this.form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#run(() => this.#save());
    });
    elements.cancel.addEventListener("click", () => this.dialog.close());
    elements.delete.addEventListener("click", () => this.#run(() => this.#delete()));
    elements.history.addEventListener("click", () => {
      this.dialog.close();
      openHistory(this.event.id, this.event.title);
    });
    elements.all_day.addEventListener("change", () => this.#switchInputs(elements.all_day.checked));
  }

  // Opens on *event*, or on a new one that starts at *start*.
  open(event, start = null) {
    this.event = event;
    const { elements } = this.form;
    const shown = event ?? {
      title: "",
      all_day: false,
      start_time: start,
      end_time: new Date(start.getTime() + 3_600_000),
    };
    byId("editor-title").textContent = event ? "Change event" : "New event";
    elements.title.value = shown.title;
    elements.location.value = shown.location ?? "";
    elements.description.value = shown.description ?? "";
    elements.all_day.checked = shown.all_day;
    this.#setTypes(shown.all_day);
    elements.start.value = toInput(shown.start_time, shown.all_day, false);
    elements.end.value = toInput(shown.end_time, shown.all_day, true);
    elements.delete.hidden = elements.history.hidden = !event;
    this.fault.textContent = "";
    this.dialog.showModal();
    elements.title.focus();
  }

  #setTypes(allDay) {
    for (const name of ["start", "end"]) {
      this.form.elements[name].type = allDay ? "date" : "datetime-local";
    }
  }

  #switchInputs(allDay) {
    const { start, end } = this.form.elements;
    const [from, to] = [start.value, end.value];
    this.#setTypes(allDay);
    start.value = allDay ? from.slice(0, 10) : from && `${from}T09:00`;
    end.value = allDay ? to.slice(0, 10) : to && `${to}T10:00`;
  }

  #fields() {
    const { elements } = this.form;
    const allDay = elements.all_day.checked;
    return {
      title: elements.title.value,
      all_day: allDay,
      start_time: fromInput(elements.start.value, allDay, false),
      end_time: fromInput(elements.end.value, allDay, true),
      time_zone: allDay
        ? null
        : (this.event?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone),
      location: elements.location.value || null,
      description: elements.description.value || null,
    };
  }

  #condition() {
    return { "If-Match": `"${this.event.version}"` };
  }

  async #save() {
    const body = this.#fields();
    if (this.event) {
      const path = `/events/${this.event.id}`;
      await this.api.call("PATCH", path, { body, headers: this.#condition() });
    } else {
      await this.api.call("POST", "/events", { body });
    }
    announce("Saved.");
  }

  async #delete() {
    await this.api.call("DELETE", `/events/${this.event.id}`, { headers: this.#condition() });
    announce("Deleted.");
  }

  async #run(work) {
    this.fault.textContent = "";
    const buttons = [...this.form.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    try {
      await work();
      this.dialog.close();
      await this.afterwards();
    } catch (problem) {
      this.fault.textContent = problem.status === 412
        ? "Somebody changed this event meanwhile. Close, look at it, and try again."
        : problem.message;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}
