-- name: claim_batch
select id, user_id, kind, event_id, calendar_id, reason, priority, generation, attempts, snoozes,
  lease_token, asked_at, claimed_at
from private.claim_work($1, $2, $3)

-- name: holds_lease
-- Fence: the row's generation while the token is still the row's, kept so until this transaction ends.
select generation from public.sync_queue
where id = $1 and lease_token = $2 and status = 'processing'
for update

-- name: generation
select generation from public.sync_queue
where id = $1 and lease_token = $2 and status = 'processing'

-- name: complete
-- Done, unless the same work was asked for again meanwhile: then it is pending once more.
update public.sync_queue
set status = case when generation = $3 then 'completed' else 'pending' end,
  completed_at = case when generation = $3 then now() end,
  attempts = case when generation = $3 then attempts else 0 end,
  snoozes = 0, run_at = now(), lease_token = null, lease_until = null, last_error = null,
  updated_at = now()
where id = $1 and lease_token = $2
returning status

-- name: postpone
-- Back to pending at a later time; $4 says whether the attempt counts.
update public.sync_queue
set status = 'pending',
  run_at = case when generation = $6 then now() + make_interval(secs => $3) else now() end,
  attempts = case when $4 then attempts else greatest(attempts - 1, 0) end,
  snoozes = case when $4 then snoozes else snoozes + 1 end,
  lease_token = null, lease_until = null, last_error = $5, updated_at = now()
where id = $1 and lease_token = $2

-- name: hand_back
-- Not finished, and nobody's fault: others first, then on from here, in bulk.
update public.sync_queue
set status = 'pending', run_at = now(), attempts = 0, priority = greatest(priority, 5::smallint),
  lease_token = null, lease_until = null, last_error = null, updated_at = now()
where id = $1 and lease_token = $2

-- name: release_waiting
-- What hindered these calendars is over: their rows need not wait any longer.
with released as (
  update public.sync_queue set run_at = now(), updated_at = now()
  where calendar_id = any($1::uuid[]) and status = 'pending' and run_at > now()
  returning id
)
select pg_notify('calsync_queue', '') from released limit 1

-- name: give_up
-- Kept as failed, visible and retryable; a change that came meanwhile gets its try.
update public.sync_queue
set status = case when generation = $4 then 'failed' else 'pending' end,
  attempts = case when generation = $4 then attempts else 0 end,
  run_at = now(), lease_token = null, lease_until = null, last_error = $3, updated_at = now()
where id = $1 and lease_token = $2
returning status

-- name: retry
-- Its owner wants a failed row tried now, as if for the first time; what it met last stays to be read.
with retried as (
  update public.sync_queue
  set status = 'pending', attempts = 0, snoozes = 0, run_at = now(), updated_at = now()
  where id = $1 and user_id = $2 and status = 'failed'
  returning id
)
select true, pg_notify('calsync_queue', '') from retried

-- name: revive_failed
-- What the provider refused needs its user; what only failed gets another round of attempts.
with revived as (
  update public.sync_queue
  set status = 'pending', attempts = 0, snoozes = 0, run_at = now(), updated_at = now()
  where kind = 'push' and status = 'failed' and updated_at < now() - interval '15 minutes'
    and last_error ->> 'code' in ('provider_unavailable', 'outcome_unknown', 'store_unavailable',
      'event_busy', 'id_unseen', 'unexpected')
  returning id
)
select pg_notify('calsync_queue', '') from revived limit 1

-- name: extend_lease
update public.sync_queue
set lease_until = now() + make_interval(secs => $3)
where id = $1 and lease_token = $2
returning true

-- name: release_expired
-- A worker that died or hung loses its rows; the fencing token keeps it from finishing them late.
update public.sync_queue
set status = 'pending', lease_token = null, lease_until = null, run_at = now(), updated_at = now()
where status = 'processing' and lease_until < now()
returning id

-- name: next_run_in
-- Seconds until the next pending row can be claimed, bulk left out unless $1; no row when there is
-- none. What waits for its user is not waited for, nor are rows behind a write under way.
select min(greatest(0, extract(epoch from greatest(due.run_at, due.at) - clock_timestamp())))
  ::double precision
from private.waiting_calendars w
cross join lateral (
  (select q.run_at, w.writes_from as at from public.sync_queue q
   where q.status = 'pending' and q.calendar_id = w.calendar_id and q.kind = 'push'
     and q.priority < 5 order by q.priority, q.run_at limit 1)
  union all
  (select q.run_at, greatest(w.writes_from, w.bulk_from) from public.sync_queue q
   where $1 and q.status = 'pending' and q.calendar_id = w.calendar_id and q.kind = 'push'
     and q.priority >= 5 order by q.priority, q.run_at limit 1)
  union all
  (select q.run_at, case when q.priority < 5 then w.reads_from
     else greatest(w.reads_from, w.bulk_from) end from public.sync_queue q
   where q.status = 'pending' and q.calendar_id = w.calendar_id and q.kind = 'pull'
     and ($1 or q.priority < 5) limit 1)
) as due
where due.at < 'infinity'

-- name: request_pulls
select count(*) from (
  select private.enqueue_pull(c.id, $2)
  from public.calendars c where c.id = any($1::uuid[]) and c.enabled order by c.id
) as asked

-- name: request_due_pulls
-- Every calendar of a provider that has not been pulled for so many seconds: all of them where a channel
-- is known to tell of changes, half where one has yet to prove it, a fifth where there is none; each
-- time a quarter more or less, so that polls spread. One whose pull waits for a later time is left
-- waiting: asking again would make it due.
select count(*) from (
  select private.enqueue_pull(c.id, 'poll', 5::smallint)
  from public.calendars c
  join public.calendar_connections k on k.id = c.connection_id and k.status = 'active'
  left join private.calendar_feeds f on f.calendar_id = c.id
  where c.provider = $1 and c.enabled and c.state not in ('paused', 'disconnected')
    and coalesce(f.last_pull_at, '-infinity') <= now() - make_interval(secs => $2)
      * (0.75 + 0.5 * abs(hashtext(c.id::text || coalesce(f.last_pull_at, now())) % 1000) / 1000.0)
      * coalesce((
        select max(case when w.last_message_number > 1 then 1.0 else 0.5 end)
        from private.watch_channels w
        where w.calendar_id = c.id and w.status = 'open'
          and (w.expires_at is null or w.expires_at > now())), 0.2)
    and not exists (
      select from public.sync_queue q
      where q.kind = 'pull' and q.calendar_id = c.id and (q.status in ('pending', 'processing')
        or q.status = 'failed' and q.updated_at > now() - make_interval(secs => $2)))
) as asked

-- name: enqueue_pushes
select private.enqueue_pushes($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])

-- name: delete_completed
delete from public.sync_queue
where status = 'completed' and completed_at < now() - make_interval(days => $1)

-- name: totals
select count(*) filter (where status = 'pending') as pending,
  count(*) filter (where status = 'processing') as processing,
  count(*) filter (where status = 'failed') as failed,
  extract(epoch from now() - min(created_at) filter (where status = 'pending'))::double precision
    as oldest_pending_seconds
from public.sync_queue where status <> 'completed'
