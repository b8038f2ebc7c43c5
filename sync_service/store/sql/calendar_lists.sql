-- name: ask
-- Have the whole list read, as soon as somebody can.
insert into private.calendar_lists as l (connection_id) values ($1)
on conflict (connection_id) do update set
  asked = l.asked + 1, full_due_at = now(), rest_until = null, no_push_until = null,
  updated_at = now()

-- name: claim_due
-- Lists that somebody asked for, that were not read for long, or that have no channel for long.
with due as (
  select l.connection_id from private.calendar_lists l
  join public.calendar_connections k on k.id = l.connection_id and k.status = 'active'
  where (l.lease_until is null or l.lease_until < now())
    and (l.rest_until is null or l.rest_until <= now())
    and (l.asked > l.answered or l.next_read_at <= now() or l.full_due_at <= now()
      or ((l.no_push_until is null or l.no_push_until <= now()) and not exists (
        select from private.watch_channels w
        where w.connection_id = l.connection_id and w.status = 'open'
          and (w.expires_at is null
            or w.expires_at > now() + coalesce(w.renew_ahead, interval '2 days')))))
  order by l.next_read_at limit $1
  for update of l skip locked
)
update private.calendar_lists l
set lease_token = gen_random_uuid(), lease_until = now() + interval '2 minutes'
from due where l.connection_id = due.connection_id
returning l.connection_id, l.cursor, l.asked, l.full_due_at <= now() as wants_full, l.lease_token,
  (l.no_push_until is null or l.no_push_until <= now()) as may_watch

-- name: hold
-- Fence: true only while the claim is still the holder's, and so until this transaction ends.
select true from private.calendar_lists where connection_id = $1 and lease_token = $2 for update

-- name: save
-- The position after what was read. $4 says that it was everything; $5 and $6 are the seconds until
-- the next reading and the next reading of everything.
update private.calendar_lists
set cursor = $2, answered = greatest(answered, $3),
  next_read_at = now() + make_interval(secs => $5),
  full_due_at = case when $4 then now() + make_interval(secs => $6) else full_due_at end,
  rest_until = null, lease_token = null, lease_until = null, updated_at = now()
where connection_id = $1

-- name: rest
-- It failed; try again later.
update private.calendar_lists
set rest_until = now() + make_interval(secs => $3), lease_token = null, lease_until = null,
  updated_at = now()
where connection_id = $1 and lease_token = $2

-- name: leave_to_poll
update private.calendar_lists set no_push_until = now() + make_interval(secs => $2)
where connection_id = $1

-- name: asked
select asked from private.calendar_lists where connection_id = $1
