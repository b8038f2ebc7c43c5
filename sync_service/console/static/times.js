// Days and times. All-day events are UTC midnights that stand for dates; others are instants.

const DAY = 86_400_000;

export function weekOf(moment) {
  const start = new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  start.setDate(start.getDate() - ((start.getDay() + 6) % 7));
  return start;
}

export function addDays(moment, count) {
  const moved = new Date(moment);
  moved.setDate(moved.getDate() + count);
  return moved;
}

export const dayKey = (moment) =>
  [moment.getFullYear(), moment.getMonth() + 1, moment.getDate()]
    .map((part) => String(part).padStart(2, "0"))
    .join("-");

// The local days that an event touches, as keys.
export function daysOf(event) {
  const keys = [];
  if (event.all_day) {
    const end = Date.parse(event.end_time);
    for (let at = Date.parse(event.start_time); at < end; at += DAY) {
      keys.push(new Date(at).toISOString().slice(0, 10));
    }
    return keys;
  }
  const start = new Date(event.start_time);
  const end = new Date(event.end_time);
  let at = new Date(start.getFullYear(), start.getMonth(), start.getDate());
  do {
    keys.push(dayKey(at));
    at = addDays(at, 1);
  } while (at < end && keys.length < 400);
  return keys;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
});
const month = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" });

export const timeText = (event) =>
  event.all_day
    ? "All day"
    : `${clock.format(new Date(event.start_time))} – ${clock.format(new Date(event.end_time))}`;
export const momentText = (value) => (value ? full.format(new Date(value)) : "never");
export const dayText = (moment) => weekday.format(moment);
export const monthText = (moment) => month.format(moment);

// To and from the values of <input type="date"> (its end inclusive) and "datetime-local".
export function toInput(value, allDay, isEnd) {
  const moment = new Date(value);
  if (allDay) return new Date(moment.getTime() - (isEnd ? DAY : 0)).toISOString().slice(0, 10);
  const pad = (part) => String(part).padStart(2, "0");
  return `${dayKey(moment)}T${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
}

export function fromInput(value, allDay, isEnd) {
  if (!allDay) return new Date(value).toISOString();
  return new Date(Date.parse(`${value}T00:00:00Z`) + (isEnd ? DAY : 0)).toISOString();
}
