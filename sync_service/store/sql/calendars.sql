-- name: work
-- Everything that pulling or pushing one calendar needs to know.
select c.id, c.user_id, c.connection_id, c.provider, c.external_id, c.name, c.access_role,
  c.time_zone, c.direction, c.mirror, c.default_target, c.conflict_policy, c.enabled, c.state, k.account_id,
  f.last_pull_at is null as unread, f.deletions, f.cursor, f.cursor_key, f.wants_full, f.pass_id, f.pass_page, f.pass_started_at,
  clock_timestamp() as read_at
from public.calendars c
join public.calendar_connections k on k.id = c.connection_id
left join private.calendar_feeds f on f.calendar_id = c.id
where c.id = $1

-- name: belongs
select private.belongs($1, $2, $3, $4)

-- name: upsert
-- What an account shows; settings of calendars already known stay as the user made them, and what the
-- account may not do for now is no change of them. A calendar that stopped for a reason that is over
-- (it was not listed, or not shared enough) goes on; one that has such a reason now stops, and keeps
-- everything that waits. Answers what became of each.
with found as (
  select r.*, k.user_id, k.id as connection_id, k.provider,
    coalesce(r.unsyncable_reason,
      private.doubled_reason(k.user_id, k.provider, r.external_id, k.id)) as reason
  from jsonb_to_recordset($2::jsonb) as r (external_id text, name text, time_zone text, color text,
    access_role text, writable boolean, is_primary boolean, unsyncable_reason text)
  cross join public.calendar_connections k
  where k.id = $1
), known as (
  select c.id, c.external_id, c.access_role, c.unsyncable_reason,
    c.enabled and c.state = 'paused' and c.state_reason = c.unsyncable_reason as stopped
  from public.calendars c
  where c.connection_id = $1 and c.external_id in (select external_id from found)
  for no key update
), kept as (
  insert into public.calendars as c (user_id, connection_id, provider, external_id, name, time_zone,
    color, access_role, is_primary, unsyncable_reason, enabled, direction, default_target, state,
    state_reason)
  select r.user_id, r.connection_id, r.provider, r.external_id, r.name, r.time_zone, r.color,
    r.access_role, r.is_primary, r.reason, false,
    case when r.writable then 'two_way' else 'pull' end, false, 'paused',
    'This calendar is not synced: it is turned off.'
  from found r
  on conflict (connection_id, external_id) do update set
    name = excluded.name, time_zone = coalesce(excluded.time_zone, c.time_zone),
    color = excluded.color, access_role = excluded.access_role, is_primary = excluded.is_primary,
    unsyncable_reason = excluded.unsyncable_reason,
    state = case
      when c.state = 'disconnected' then 'paused'
      when c.enabled and c.state = 'paused' and c.state_reason = c.unsyncable_reason
        and excluded.unsyncable_reason is null then 'catching_up'
      when c.enabled and c.state <> 'paused' and excluded.unsyncable_reason is not null
        then 'paused'
      else c.state end,
    state_reason = case
      when c.state = 'disconnected' then excluded.state_reason
      when c.enabled and c.state = 'paused' and c.state_reason = c.unsyncable_reason
        then excluded.unsyncable_reason
      when c.enabled and c.state <> 'paused' and excluded.unsyncable_reason is not null
        then excluded.unsyncable_reason
      else c.state_reason end
  returning c.id, c.external_id, c.name, c.enabled, c.access_role, c.unsyncable_reason, c.state
)
select n.id, n.name, n.enabled, k.id is null as appeared,
  n.enabled and coalesce(k.stopped, false) and n.unsyncable_reason is null as returned,
  n.enabled and n.unsyncable_reason is not null and k.unsyncable_reason is null as stopped,
  n.enabled and k.access_role is distinct from n.access_role as role_changed,
  n.unsyncable_reason as reason
from kept n left join known k on k.id = n.id
order by n.id

-- name: remove
-- No longer in the account's list: nothing of them is deleted, they stop and say why. With $3 every
-- calendar but these is meant.
with gone as (
  select c.id from public.calendars c
  where c.connection_id = $1 and (c.external_id = any($2::text[])) <> $3
    and c.state <> 'disconnected' and c.unsyncable_reason is distinct from $4
  for no key update
)
update public.calendars c
set unsyncable_reason = $4,
  state = case when c.enabled then 'paused' else c.state end,
  state_reason = case when c.enabled and (c.state <> 'paused' or c.state_reason = c.unsyncable_reason)
    then $4 else c.state_reason end
from gone where c.id = gone.id
returning c.id, c.name, c.enabled, false as appeared, false as returned, c.enabled as stopped,
  false as role_changed, c.unsyncable_reason as reason

-- name: restart
-- They stopped for a while: everything in them is read again.
update private.calendar_feeds set wants_full = true, updated_at = now()
where calendar_id = any($1::uuid[])

-- name: enable_remembered
-- Connected again: what was on when the account was disconnected is on again.
with remembered as (
  update private.calendar_feeds f set was_enabled = false, was_default_target = false
  from (
    select g.calendar_id, g.was_default_target from private.calendar_feeds g
    join public.calendars c on c.id = g.calendar_id
    where c.connection_id = $1 and g.was_enabled
    for update of g) as old
  where f.calendar_id = old.calendar_id
  returning old.calendar_id, old.was_default_target
)
update public.calendars c
set enabled = true,
  default_target = r.was_default_target and not exists (
    select from public.calendars o where o.user_id = c.user_id and o.default_target)
from remembered r
where c.id = r.calendar_id and c.unsyncable_reason is null

-- name: enable_primary
-- On a first connect the primary calendar is synced both ways, as the default target if there is none.
update public.calendars c
set enabled = true,
  default_target = not exists (
    select from public.calendars o where o.user_id = c.user_id and o.default_target)
where c.connection_id = $1 and c.is_primary and c.unsyncable_reason is null
  and not exists (select from public.calendars o where o.connection_id = $1 and o.enabled)
returning c.id

-- name: enabled_of_connection
select id from public.calendars where connection_id = $1 and enabled order by id

-- name: set_state
-- What the user stopped stays stopped, whatever work that was under way has to say.
update public.calendars
set state = $2, state_reason = $3, last_error = $4
where id = $1
  and state not in ('paused', 'disconnected')
  and (state, state_reason, last_error) is distinct from ($2, $3, $4)

-- name: need_reconnect
update public.calendars
set state = 'action_required', state_reason = 'The account must be connected again.',
  last_error = $2
where connection_id = $1 and enabled and state <> 'paused'

-- name: note_role
update public.calendars set access_role = $2, time_zone = coalesce($3, time_zone)
where id = $1 and (access_role, time_zone) is distinct from ($2, coalesce($3, time_zone))

-- name: lock_calendar
select from public.calendars where id = $1 for no key update

-- name: lock_feed
select from private.calendar_feeds where calendar_id = $1 for update

-- name: ensure_feed
insert into private.calendar_feeds (calendar_id) values ($1) on conflict do nothing

-- name: start_pass
update private.calendar_feeds
set pass_id = gen_random_uuid(), pass_page = null, pass_started_at = now(), pass_listed_at = null,
  wants_full = false,
  cursor = null, updated_at = now()
where calendar_id = $1
returning pass_id, pass_started_at

-- name: save_pass_page
update private.calendar_feeds
set pass_page = $2, pass_listed_at = coalesce(pass_listed_at, now()), updated_at = now()
where calendar_id = $1

-- name: save_cursor
update private.calendar_feeds
set cursor = $2, cursor_key = $3, deletions = null, pass_id = null, pass_page = null,
  pass_started_at = null, last_pull_at = now(),
  last_full_at = case when pass_id is not null then now() else last_full_at end, updated_at = now()
where calendar_id = $1

-- name: want_full
-- The next pull lists everything, where that was last done so many days ago (a quarter more or less,
-- so that calendars do not all come at once).
update private.calendar_feeds f set wants_full = true, updated_at = now()
from public.calendars c
where c.id = f.calendar_id and c.enabled and c.state not in ('paused', 'disconnected')
  and f.pass_id is null and not f.wants_full
  and f.last_full_at < now() - make_interval(days => 1) * $1::integer
    * (0.75 + 0.5 * abs(hashtext(f.calendar_id::text || f.last_full_at) % 1000) / 1000.0)

-- name: drop_cursor
update private.calendar_feeds
set wants_full = true, cursor = null, pass_id = null, pass_page = null, updated_at = now()
where calendar_id = $1

-- name: count_progress
update public.calendars set full_sync_done = case when $3 then $2 else full_sync_done + $2 end,
  full_sync_total = null
where id = $1

-- name: note_synced
-- Reading works; a calendar whose writes are parked goes on saying so.
update public.calendars c
set state = case when parked then c.state else 'healthy' end,
  state_reason = case when parked then c.state_reason end,
  last_error = case when parked then c.last_error end, last_synced_at = now(),
  full_sync_total = case when $2 then c.full_sync_done else c.full_sync_total end
from (
  select s.id, k.writes_parked_until > now() and s.state = 'delayed'
    and s.last_error ->> 'code' = 'quota_exceeded' as parked
  from public.calendars s
  join public.calendar_connections k on k.id = s.connection_id
) as shown
where c.id = $1 and shown.id = c.id and c.state not in ('paused', 'disconnected')

-- name: disconnect
-- What was on is remembered, for when the account is connected again.
with remembered as (
  insert into private.calendar_feeds (calendar_id, was_enabled, was_default_target)
  select id, true, default_target from public.calendars where connection_id = $1 and enabled
  on conflict (calendar_id) do update set
    was_enabled = true, was_default_target = excluded.was_default_target
)
update public.calendars
set state = 'disconnected', state_reason = 'The account was disconnected.', enabled = false,
  default_target = false, channel_expires_at = null
where connection_id = $1

-- name: synced
select c.id from public.calendars c
join public.calendar_connections k on k.id = c.connection_id and k.status = 'active'
where c.enabled order by c.created_at, c.id

-- name: pause
update public.calendars set state = 'paused', state_reason = $2, preview = $3 where id = $1

-- name: resume
update public.calendars
set state = 'catching_up', state_reason = null, preview = null
where id = $1 and enabled and state = 'paused' and unsyncable_reason is null
returning connection_id

-- name: decide_deletions
update private.calendar_feeds set deletions = $2, updated_at = now() where calendar_id = $1
