-- name: audit
insert into public.sync_audit (user_id, connection_id, calendar_id, event_id, action, source,
  detail, duration_ms)
select r.user_id, r.connection_id, r.calendar_id, r.event_id, r.action, r.source,
  coalesce(r.detail, '{}'), r.duration_ms
from jsonb_to_recordset($1::jsonb) as r (user_id uuid, connection_id uuid, calendar_id uuid,
  event_id uuid, action text, source text, detail jsonb, duration_ms double precision)

-- name: conflicts
insert into public.sync_conflicts (user_id, event_id, calendar_id, fields, base, local, remote,
  policy, winner)
select r.user_id, r.event_id, r.calendar_id, r.fields, r.base, r.local, r.remote, r.policy, r.winner
from jsonb_to_recordset($1::jsonb) as r (user_id uuid, event_id uuid, calendar_id uuid,
  fields text[], base jsonb, local jsonb, remote jsonb, policy text, winner text)

-- name: lock_conflict
select user_id, event_id, calendar_id, fields, base, local, remote, policy, winner
from public.sync_conflicts where id = $1 for update

-- name: close_conflict
update public.sync_conflicts
set status = 'resolved', resolution = $2, resolved_at = now() where id = $1

-- name: notify
select private.notify_user($1, $2, $3, $4, $5, $6, $7)

-- name: purge_audit
delete from public.sync_audit where created_at < now() - make_interval(days => $1)
