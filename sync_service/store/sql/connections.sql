-- name: save_state
insert into private.oauth_states
  (state_hash, user_id, provider, code_verifier, return_to, preview, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + interval '10 minutes')

-- name: consume_state
-- Single use: whoever deletes it has it.
delete from private.oauth_states
where state_hash = $1 and provider = $2
returning user_id, code_verifier, return_to, preview, expires_at > now() as fresh

-- name: purge_states
delete from private.oauth_states where expires_at < now()

-- name: save_connection
insert into public.calendar_connections as k
  (user_id, provider, account_id, account_email, scopes, preview)
values ($1, $2, $3, $4, $5, $6)
on conflict (user_id, provider, account_id) do update set
  account_email = excluded.account_email, scopes = excluded.scopes, status = 'active',
  last_error = null, rest_until = null, bulk_rest_until = null, updated_at = now()
returning id

-- name: save_tokens
insert into private.connection_tokens (connection_id, access_token, refresh_token, expires_at)
values ($1, $2, $3, $4)
on conflict (connection_id) do update set
  access_token = excluded.access_token,
  refresh_token = coalesce(excluded.refresh_token, connection_tokens.refresh_token),
  expires_at = excluded.expires_at, updated_at = now()

-- name: read_tokens
select access_token, refresh_token, expires_at
from private.connection_tokens where connection_id = $1

-- name: lock_tokens
select access_token, refresh_token, expires_at
from private.connection_tokens where connection_id = $1 for update

-- name: wipe_tokens
delete from private.connection_tokens where connection_id = $1

-- name: read
select id, user_id, provider, account_id, account_email, status, updated_at, preview
from public.calendar_connections where id = $1

-- name: save_scopes
update public.calendar_connections set scopes = $2 where id = $1 and scopes is distinct from $2

-- name: of_account
select id, user_id from public.calendar_connections
where provider = $1 and account_id = $2 and status <> 'disconnected' order by id

-- name: note_lacking
update public.calendar_connections set last_error = $2
where id = $1 and status = 'reconnect_needed'

-- name: set_status
update public.calendar_connections
set status = $2, last_error = $3, updated_at = now()
where id = $1 and (status, last_error) is distinct from ($2, $3)
returning id

-- name: need_reconnect
update public.calendar_connections
set status = 'reconnect_needed', last_error = $2, updated_at = now()
where id = $1 and status = 'active' and updated_at <= $3
returning true

-- name: rest
-- Nothing of the account is worked on, or nothing in bulk, for so many seconds.
update public.calendar_connections k
set rest_until = case when $3 then k.rest_until
    else greatest(k.rest_until, now() + make_interval(secs => $2)) end,
  bulk_rest_until = greatest(k.bulk_rest_until, now() + make_interval(secs => $2))
from public.calendar_connections o
where o.id = $1 and k.provider = o.provider and k.account_id = o.account_id

-- name: park_writes
-- Nothing of the account is written: for an hour, and for twice as long as the last time when that
-- was within a day, up to a whole day. No row when it is parked already.
update public.calendar_connections k
set writes_parked_for = next.length, writes_parked_until = now() + next.length
from public.calendar_connections o,
  lateral (select case when o.writes_parked_until > now() - interval '1 day'
    then least(interval '1 day', 2 * o.writes_parked_for)
    else greatest(interval '1 hour', make_interval(secs => $2)) end as length) as next
where o.id = $1 and k.provider = o.provider and k.account_id = o.account_id
  and coalesce(o.writes_parked_until, '-infinity') <= now()
returning k.id, k.user_id, k.writes_parked_until

-- name: show_park
update public.calendars
set state = 'delayed', state_reason = $2, last_error = $3
where connection_id = $1 and enabled and state not in ('paused', 'disconnected', 'action_required')

-- name: end_parks
-- What was parked and may go on is shown so; its work is claimed without that.
with ended as (
  update public.calendars c
  set state = 'healthy', state_reason = null, last_error = null
  from public.calendar_connections k
  where k.id = c.connection_id and k.writes_parked_until <= now()
    and c.state = 'delayed' and c.last_error ->> 'code' = 'quota_exceeded'
  returning c.id
)
select pg_notify('calsync_queue', '') from ended limit 1

-- name: note_error
update public.calendar_connections set last_error = $2
where id = $1 and status = 'active' and last_error is distinct from $2

-- name: shares_account
-- Another live connection to the same account: revoking would end its grant too.
select exists (
  select from public.calendar_connections o
  join public.calendar_connections k
    on k.id = $1 and o.provider = k.provider and o.account_id = k.account_id
  where o.id <> k.id and o.status <> 'disconnected')

-- name: without_calendars
-- Connected, or connected again, but the calendars were not listed since: the process died or the
-- provider was away.
select k.id from public.calendar_connections k
where k.status = 'active'
  and not exists (
    select from public.calendars c where c.connection_id = k.id and c.state <> 'disconnected')
order by k.created_at

-- name: expiring_tokens
select t.connection_id from private.connection_tokens t
join public.calendar_connections k on k.id = t.connection_id and k.status = 'active'
where t.expires_at < now() + make_interval(secs => $1) and t.refresh_token is not null

-- name: calendars_of
select id from public.calendars where connection_id = $1 order by id

-- name: lock_disconnected
select true from public.calendar_connections
where id = $1 and status = 'disconnected' for no key update

-- name: half_disconnected
-- Disconnected, but a process died before the tokens were wiped.
select k.id from public.calendar_connections k
join private.connection_tokens t on t.connection_id = k.id
where k.status = 'disconnected' and k.updated_at < now() - interval '1 minute'

-- name: end_preview
update public.calendar_connections set preview = false, updated_at = now()
where id = (select connection_id from public.calendars where id = $1) and preview
