-- name: read_for_update
-- Lock events in id order, so that two pages never wait for each other in a circle.
select * from public.calendar_events where id = any($1::uuid[]) order by id for update

-- name: read
select e.*, (
    select jsonb_object_agg(w.version, w.send_updates) from private.update_wishes w
    where w.event_id = e.id) as wishes
from public.calendar_events e where e.id = $1

-- name: insert
insert into public.calendar_events (id, user_id, calendar_id, title, description, location, notes,
  start_time, end_time, all_day, time_zone, recurrence, status, visibility, transparency, attendees,
  reminders, attachments, conference, color, metadata, ical_uid, kind, series_id,
  original_start_time, deleted_at)
select r.id, r.user_id, r.calendar_id, r.title, r.description, r.location, r.notes, r.start_time,
  r.end_time, r.all_day, r.time_zone, r.recurrence, r.status, r.visibility, r.transparency,
  r.attendees, r.reminders, r.attachments, r.conference, r.color, r.metadata, r.ical_uid,
  r.kind, r.series_id, r.original_start_time, case when r.deleted then now() end
from jsonb_to_recordset($1::jsonb) as r (id uuid, user_id uuid, calendar_id uuid, title text,
  description text, location text, notes text, start_time timestamptz, end_time timestamptz,
  all_day boolean, time_zone text, recurrence text[], status text, visibility text,
  transparency text, attendees jsonb, reminders jsonb, attachments jsonb, conference jsonb,
  color text, metadata jsonb, ical_uid text, kind text, series_id uuid,
  original_start_time timestamptz, deleted boolean)
order by r.series_id nulls first
returning id, version

-- name: update
-- Write whole contents; a deleted event that is written comes back.
update public.calendar_events e
set title = r.title, description = r.description, location = r.location, notes = r.notes,
  start_time = r.start_time, end_time = r.end_time, all_day = r.all_day, time_zone = r.time_zone,
  recurrence = r.recurrence, status = r.status, visibility = r.visibility,
  transparency = r.transparency, attendees = r.attendees, reminders = r.reminders,
  attachments = r.attachments, conference = r.conference, color = r.color, metadata = r.metadata,
  deleted_at = null
from jsonb_to_recordset($1::jsonb) as r (id uuid, title text, description text, location text,
  notes text, start_time timestamptz, end_time timestamptz, all_day boolean, time_zone text,
  recurrence text[], status text, visibility text, transparency text, attendees jsonb,
  reminders jsonb, attachments jsonb, conference jsonb, color text, metadata jsonb)
where e.id = r.id
returning e.id, e.version

-- name: delete
update public.calendar_events set deleted_at = now()
where id = any($1::uuid[]) and deleted_at is null
returning id, version

-- name: owned
-- Which of these ids are events of this user (for adopting by our private mark).
select id from public.calendar_events where user_id = $1 and id = any($2::uuid[])

-- name: enqueue_differences
-- Push what a calendar should hold and does not, and what it holds and should not: after its first
-- listing, or with new settings.
select private.enqueue_pushes(array_agg(e.user_id), array_agg(e.id), array_agg($1::uuid),
  array_agg('adopted'::text))
from public.calendar_events e
left join public.event_mappings m
  on m.event_id = e.id and m.calendar_id = $1 and m.status not in ('pending', 'deleted')
where e.user_id = $2 and e.deleted_at is null
  and (m.id is not null or e.end_time > $3 or e.recurrence is not null)
  and private.belongs(e.user_id, e.calendar_id, e.id, $1) = (m.id is null)
  and (m.id is not null or $1 in (select t from private.event_targets(e.user_id, e.calendar_id) as t))
having count(*) > 0

-- name: exceptions
-- The rows of these occurrences, cancelled ones too.
select e.id, e.series_id, e.original_start_time
from public.calendar_events e
join unnest($1::uuid[], $2::timestamptz[]) as k (series_id, original_start_time)
  on k.series_id = e.series_id and k.original_start_time = e.original_start_time

-- name: follow_series
-- What a provider makes of a series' occurrences when the series changes is its own affair (it keeps,
-- moves or drops them), and what is still unsent can go now that the series is there.
with following as (
  select e.id, e.user_id from public.calendar_events e
  where e.series_id = any($2::uuid[]) and e.id <> all($3::uuid[])
  order by e.id
), doubted as (
  update public.event_mappings m set stale = true, updated_at = now()
  from following f
  where m.event_id = f.id and m.calendar_id = $1 and m.status <> 'deleted'
)
select private.enqueue_pushes(array_agg(f.user_id), array_agg(f.id), array_agg($1::uuid),
  array_agg('series'::text))
from following f
having count(*) > 0

-- name: adoptable
-- Events that belong into a calendar, have no copy there on record, and came in under one of these
-- iCalendar ids or start at one of these times: the mapping was lost, or both sides had the event
-- before they were connected.
select e.* from public.calendar_events e
where e.user_id = $2 and e.deleted_at is null and e.series_id is null
  and (e.start_time = any($3::timestamptz[]) or e.ical_uid = any($4::text[]))
  and private.belongs(e.user_id, e.calendar_id, e.id, $1)
  and not exists (
    select from public.event_mappings m where m.event_id = e.id and m.calendar_id = $1)
order by e.id

-- name: announce
-- Tell whoever waits for these events (the HTTP API's Prefer: wait, the live stream).
select pg_notify('calsync_events', json_build_object('user_id', $1::uuid, 'event_id', e)::text)
from unnest($2::uuid[]) as e

-- name: purge_wishes
delete from private.update_wishes where created_at < now() - interval '30 days'

-- name: purge_tombstones
-- A cancelled occurrence goes with its series, not before.
delete from public.calendar_events e
where e.deleted_at < now() - make_interval(days => $1) and e.series_id is null

-- name: held_by
-- What a calendar should hold or is known to hold, with the remote id where there is one.
select e.*, m.external_id, m.status as mapping_status
from public.calendar_events e
left join public.event_mappings m on m.event_id = e.id and m.calendar_id = $1
where e.user_id = $2 and e.deleted_at is null and e.status <> 'cancelled'
  and (m.status in ('synced', 'failed', 'conflict', 'pending')
    or (private.belongs(e.user_id, e.calendar_id, e.id, $1)
      and (e.end_time > $3 or e.recurrence is not null)))
order by e.start_time, e.id
