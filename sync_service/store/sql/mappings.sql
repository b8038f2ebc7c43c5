-- name: find
select id, event_id, external_id from public.event_mappings
where calendar_id = $1 and external_id = any($2::text[])

-- name: read_for_update
select * from public.event_mappings where id = any($1::uuid[]) order by id for update

-- name: read_pair
select * from public.event_mappings where event_id = $1 and calendar_id = $2

-- name: lock_pair
select from public.event_mappings where event_id = $1 and calendar_id = $2 for update

-- name: taken_events
-- Which of these events have a mapping in the calendar already.
select event_id from public.event_mappings where calendar_id = $1 and event_id = any($2::uuid[])

-- name: in_flight
-- Which of these events a worker is pushing to the calendar right now.
select event_id from public.sync_queue
where kind = 'push' and status = 'processing' and lease_until > now()
  and calendar_id = $1 and event_id = any($2::uuid[])

-- name: reserve
-- Before the first call the remote id is on record, and what is about to be sent: should the answer
-- be lost, that is the base for whatever is found there. A second try or worker finds the same row;
-- a copy that was deleted and is made again keeps its tombstone until then. Of several tries either
-- may have arrived: the first stays the base, the last is the intent.
insert into public.event_mappings as m
  (id, user_id, event_id, calendar_id, external_id, base, sync_source)
values ($1, $2, $3, $4, $5, $6, 'app')
on conflict (event_id, calendar_id) do update set
  base = case m.status when 'pending' then coalesce(m.base, excluded.base) else m.base end,
  intent = case when m.status in ('pending', 'deleted')
    then jsonb_build_object('content', excluded.base) else m.intent end,
  updated_at = now()
returning *

-- name: intend
-- On record before it is sent; answers how often this copy was written within a minute.
update public.event_mappings
set intent = $2, updated_at = now(),
  moves = case when moves_since > now() - interval '1 minute' then moves + 1 else 1 end,
  moves_since = case when moves_since > now() - interval '1 minute' then moves_since else now() end
where id = $1
returning moves

-- name: rename
-- Another remote id for a copy that does not exist yet.
update public.event_mappings
set external_id = $2, status = 'pending', stale = false, intent = null, etag = null, base = null, fingerprint = null,
  updated_at = now()
where id = $1
returning *

-- name: upsert
insert into public.event_mappings as m (id, user_id, event_id, calendar_id, external_id, ical_uid,
  html_link, etag, external_updated_at, base, fingerprint, event_version, provider_data,
  sync_source, status, last_synced_at, stale, seen_pass)
select r.id, r.user_id, r.event_id, r.calendar_id, r.external_id, r.ical_uid, r.html_link, r.etag,
  r.external_updated_at, r.base, r.fingerprint, r.event_version, r.provider_data, r.sync_source,
  r.status, now(), r.stale, r.seen_pass
from jsonb_to_recordset($1::jsonb) as r (id uuid, user_id uuid, event_id uuid, calendar_id uuid,
  external_id text, ical_uid text, html_link text, etag text, external_updated_at timestamptz,
  base jsonb, fingerprint text, event_version bigint, provider_data jsonb, sync_source text,
  status text, stale boolean, seen_pass uuid)
on conflict (id) do update set
  ical_uid = excluded.ical_uid, html_link = excluded.html_link, etag = excluded.etag,
  external_updated_at = excluded.external_updated_at, base = excluded.base,
  fingerprint = excluded.fingerprint, event_version = excluded.event_version,
  provider_data = excluded.provider_data, sync_source = excluded.sync_source,
  status = excluded.status, last_synced_at = excluded.last_synced_at, last_error = null,
  stale = excluded.stale, intent = null, seen_pass = coalesce(excluded.seen_pass, m.seen_pass), updated_at = now()

-- name: look_again
update public.event_mappings set stale = true, updated_at = now() where id = any($1::uuid[])

-- name: mark_unlisted
-- Being made there while a complete listing left them out: too late for it, or made and deleted again
-- before it. Whoever gets the answer reads them once more.
update public.event_mappings m set seen_pass = $2
where m.calendar_id = $1 and m.status = 'pending' and m.seen_pass is distinct from $2
  and exists (select from public.sync_queue q
    where q.kind = 'push' and q.status = 'processing'
      and q.event_id = m.event_id and q.calendar_id = m.calendar_id)

-- name: mark_seen
update public.event_mappings set seen_pass = $2 where id = any($1::uuid[])

-- name: settle_deleted
update public.event_mappings
set status = 'deleted', stale = false, intent = null, last_synced_at = now(), last_error = null,
  updated_at = now()
where id = any($1::uuid[])

-- name: settle_series_deleted
update public.event_mappings m
set status = 'deleted', stale = false, intent = null, last_synced_at = now(), last_error = null,
  updated_at = now()
from public.calendar_events e
where e.series_id = any($2::uuid[]) and m.event_id = e.id and m.calendar_id = $1
  and m.status <> 'deleted'

-- name: forget
delete from public.event_mappings where id = $1

-- name: settle_version
-- Nothing to send: the event as of this version equals the base.
update public.event_mappings
set event_version = $2, status = 'synced', last_error = null, updated_at = now()
where id = $1 and (event_version is distinct from $2 or status <> 'synced')

-- name: note_told
-- Later pushes of the event tell nobody, unless somebody asks for it again.
update public.event_mappings set told_version = $3 where event_id = $1 and calendar_id = $2

-- name: note_failure
-- A copy that was never made, or not made again, stays to be made.
update public.event_mappings
set status = case when status = 'synced' then 'failed' else status end, last_error = $3,
  updated_at = now()
where event_id = $1 and calendar_id = $2

-- name: unseen
-- Synced before the first page of this pass was at hand, inside its window, and on none of its pages.
-- Those that were made since the pass was opened may only have been too late for it.
select m.id as mapping_id, m.event_id, m.user_id, coalesce(e.title, '') as title,
  coalesce(e.start_time, m.created_at) as start_time, e.series_id,
  m.created_at >= f.pass_started_at as fresh
from public.event_mappings m
join private.calendar_feeds f on f.calendar_id = m.calendar_id
left join public.calendar_events e on e.id = m.event_id
where m.calendar_id = $1 and m.status in ('synced', 'failed', 'conflict')
  and m.seen_pass is distinct from f.pass_id and m.created_at < coalesce(f.pass_listed_at, now())
  and (e.id is null or e.end_time > $2 or e.recurrence is not null)
order by m.id

-- name: count_live
-- Single occurrences of a series do not count as events of their own.
select count(*) from public.event_mappings
where calendar_id = $1 and status in ('synced', 'failed', 'conflict')
  and not provider_data ? 'occurrence'

-- name: park
-- A conflict that only the user may settle: nothing of it moves until then.
update public.event_mappings set status = 'conflict', updated_at = now() where id = any($1::uuid[])

-- name: doomed
-- What would be deleted here if these remote events were gone for good.
select m.id as mapping_id, m.event_id, m.user_id, e.title, e.start_time, e.series_id,
  false as fresh
from public.event_mappings m
join public.calendar_events e on e.id = m.event_id and e.deleted_at is null
where m.calendar_id = $1 and m.external_id = any($2::text[])
  and m.status in ('synced', 'failed', 'conflict')
order by e.start_time, e.id

-- name: bring_back
-- The user wants these to live: with nothing agreed on, what is gone there is made anew.
update public.event_mappings set base = null, fingerprint = null, stale = true, updated_at = now()
where id = any($1::uuid[])

-- name: release
-- A parked conflict is decided: the remote version that was kept is the base from here on. Others are
-- only read anew.
update public.event_mappings
set base = case when status = 'conflict' then $3 else base end,
  status = case when status = 'conflict' then 'synced' else status end,
  stale = true, updated_at = now()
where event_id = $1 and calendar_id = $2 and status <> 'deleted'
