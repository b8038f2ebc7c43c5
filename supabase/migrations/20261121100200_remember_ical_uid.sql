-- The iCalendar identity (RFC 5545 §3.8.4.7) under which an event first came in: should its mapping be
-- lost, the copy is found again although somebody edited it since.
alter table public.calendar_events add column ical_uid text;

create index calendar_events_ical_uid_idx on public.calendar_events (user_id, ical_uid)
  where ical_uid is not null;
