-- name: came_from
-- Events of this account's other calendars that are known there under an id that showed up here. They
-- live there (their home, or the default target of those without one), or did until a deletion came
-- in from there.
select m.id as mapping_id, m.event_id, m.external_id, m.ical_uid,
  m.status = 'deleted' as deleted, s.id as source_id, s.external_id as source_ref,
  t.id as target_id, t.external_id as target_ref, s.access_role
from public.calendars t
join public.calendars s on s.connection_id = t.connection_id and s.id <> t.id
join public.event_mappings m on m.calendar_id = s.id and m.external_id = any($2::text[])
join public.calendar_events e on e.id = m.event_id
where t.id = $1 and e.series_id is null and t.direction <> 'push' and s.direction <> 'push'
  and (e.calendar_id = s.id or e.calendar_id is null and s.default_target)
  and case when m.status = 'deleted' then e.deleted_at is not null and e.sync_source = t.provider
    else m.status in ('synced', 'failed') and e.deleted_at is null end
  and not exists (
    select from public.event_mappings o
    where o.calendar_id = t.id and o.status <> 'deleted'
      and (o.external_id = m.external_id or o.event_id = m.event_id))
order by m.event_id

-- name: may_have_gone_to
select m.id as mapping_id, m.event_id, m.external_id, m.ical_uid, false as deleted,
  s.id as source_id, s.external_id as source_ref, t.id as target_id, t.external_id as target_ref,
  t.access_role
from public.calendars s
join public.event_mappings m on m.calendar_id = s.id and m.external_id = any($2::text[])
  and m.status in ('synced', 'failed')
join public.calendar_events e on e.id = m.event_id and e.deleted_at is null
join public.calendars t on t.connection_id = s.connection_id and t.id <> s.id
  and t.enabled and t.unsyncable_reason is null and t.direction <> 'push'
where s.id = $1 and e.series_id is null and s.direction <> 'push'
  and (e.calendar_id = s.id or e.calendar_id is null and s.default_target)
  and not exists (
    select from public.event_mappings o
    where o.calendar_id = t.id and o.status <> 'deleted'
      and (o.external_id = m.external_id or o.event_id = m.event_id))
order by m.event_id, t.id
limit $3

-- name: lock_event
select from public.calendar_events where id = $1 or series_id = $1 order by id for update

-- name: lock_mapping
-- Answers whether a worker other than ours ($4) is pushing it at this moment; no row when it has moved.
select exists (
  select from public.sync_queue q
  where q.kind = 'push' and q.status = 'processing' and q.lease_until > now()
    and q.event_id = m.event_id and q.calendar_id in ($2, $3) and q.id <> $4)
from public.event_mappings m
where m.id = $1 and m.calendar_id = $2
for update

-- name: drop_tombstones
-- It was there before; what is known of that copy gives way to the one that is there now.
delete from public.event_mappings m
using public.calendar_events e
where e.id = m.event_id and (e.id = $1 or e.series_id = $1)
  and m.calendar_id = $2 and m.status = 'deleted'

-- name: move_mappings
update public.event_mappings m
set calendar_id = $3, status = case m.status when 'deleted' then 'synced' else m.status end,
  seen_pass = null, updated_at = now()
from public.calendar_events e
where e.id = m.event_id and (e.id = $1 or e.series_id = $1) and m.calendar_id = $2
  and not exists (
    select from public.event_mappings o
    where o.calendar_id = $3 and (o.event_id = m.event_id or o.external_id = m.external_id))

-- name: move_event
-- A deletion that came in with the other half of the move is taken back.
update public.calendar_events set calendar_id = $3, deleted_at = null
where id = $1 and (calendar_id is null or calendar_id = $2)
