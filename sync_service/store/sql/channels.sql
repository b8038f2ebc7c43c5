-- name: register
-- Before the provider is asked: its first message may come before its answer.
insert into private.watch_channels (id, calendar_id, connection_id, secret_hash)
values ($1, $2, $3, $4)

-- name: opened
-- It is renewed before its end: by the margin, but never more than half its life, and a quarter more
-- at random, so that channels opened together are not renewed together.
with opened as (
  update private.watch_channels set status = 'open', resource_id = $2, expires_at = $3,
    renew_ahead = least(make_interval(secs => $4), ($3 - now()) / 2) * (1 + random() / 4)
  where id = $1 and status = 'opening'
  returning calendar_id
)
update private.calendar_feeds f set push_failures = 0, no_push_until = null
from opened where f.calendar_id = opened.calendar_id

-- name: distrust
-- The account was away: the provider may have ended its channels, so each is replaced and stopped.
update private.watch_channels w set expires_at = least(w.expires_at, now())
where w.status = 'open' and (w.connection_id = $1 or w.calendar_id in (
  select c.id from public.calendars c where c.connection_id = $1))

-- name: show_expiry
update public.calendars set channel_expires_at = (
  select max(w.expires_at) from private.watch_channels w
  where w.calendar_id = calendars.id and w.status = 'open')
where id = $1

-- name: forget
delete from private.watch_channels where id = $1

-- name: stopped
update private.watch_channels set status = 'stopped' where id = $1

-- name: healthy
-- The calendar has a channel that need not be renewed yet, or can have none for now.
select exists (
  select from private.watch_channels w
  where w.calendar_id = $1 and w.status = 'open'
    and (w.expires_at is null
      or w.expires_at > now() + coalesce(w.renew_ahead, make_interval(secs => $2))))
  or exists (
  select from private.calendar_feeds f where f.calendar_id = $1 and f.no_push_until > now())

-- name: leave_to_poll
update private.calendar_feeds set no_push_until = now() + make_interval(secs => $2)
where calendar_id = $1

-- name: has_live
select exists (
  select from private.watch_channels w
  where w.connection_id = $1 and w.status = 'open'
    and (w.expires_at is null
      or w.expires_at > now() + coalesce(w.renew_ahead, make_interval(secs => $2))))

-- name: failed
-- One more try that failed. After three the calendar is left to the poll for a day.
update private.calendar_feeds
set push_failures = push_failures + 1,
  no_push_until = now() + case when push_failures >= 2 then interval '1 day'
    else make_interval(secs => $2) end
where calendar_id = $1
returning push_failures

-- name: suspect
-- The channels of a calendar that lived when something changed at $2 and told nothing since. They are
-- replaced: to count on them no longer, they end now. After three in a row it is left to the poll.
with silent as (
  update private.watch_channels w set expires_at = now()
  where w.calendar_id = $1 and w.status = 'open' and w.created_at < $2
    and (w.expires_at is null or w.expires_at > now())
    and not exists (
      select from private.watch_channels o
      where o.calendar_id = $1 and o.last_message_at >= $2 - interval '5 seconds')
  returning w.calendar_id
), counted as (
  update private.calendar_feeds f
  set push_silences = f.push_silences + 1,
    no_push_until = case when f.push_silences >= 2 then now() + interval '1 day'
      else f.no_push_until end
  where f.calendar_id in (select calendar_id from silent)
  returning f.push_silences
)
select push_silences from counted

-- name: unneeded
-- Calendars with a channel too many: they are turned off, or a newer one has taken over and the stop
-- of the older one failed.
select distinct c.id from private.watch_channels w
join public.calendars c on c.id = w.calendar_id
join public.calendar_connections k on k.id = c.connection_id and k.status = 'active'
where w.status <> 'stopped' and w.resource_id is not null and c.provider = $1
  and (w.expires_at is null or w.expires_at > now() - interval '1 hour')
  and (not c.enabled or w.status = 'open' and exists (
    select from private.watch_channels n
    where n.calendar_id = c.id and n.status = 'open' and n.created_at > w.created_at))
order by c.id

-- name: stoppable
-- Channels of a calendar, or of the list of an account ($2), that may live at the provider, oldest
-- first; when $3 is true without the newest and without one that is just being opened. Where a
-- process died before it could record the answer, the resource is that of the others: all channels
-- of a calendar watch the same.
with ours as (
  select * from private.watch_channels
  where calendar_id is not distinct from $1 and connection_id is not distinct from $2
)
select w.id, r.resource_id from ours w
cross join lateral (
  select coalesce(w.resource_id, max(o.resource_id)) as resource_id from ours o) r
where w.status <> 'stopped' and r.resource_id is not null
  and not ($3 and w.status = 'opening' and w.created_at > now() - interval '10 minutes')
  and not ($3 and w.id = (
    select n.id from ours n where n.status = 'open' order by n.created_at desc limit 1))
order by w.created_at

-- name: due_calendars
-- Enabled calendars of active connections without a channel that need not be renewed yet.
select c.id from public.calendars c
join public.calendar_connections k on k.id = c.connection_id and k.status = 'active'
where c.enabled and c.state not in ('paused', 'disconnected') and c.provider = $1
  and not exists (
    select from private.calendar_feeds f where f.calendar_id = c.id and f.no_push_until > now())
  and not exists (
    select from private.watch_channels w
    where w.calendar_id = c.id and w.status = 'open'
      and (w.expires_at is null
        or w.expires_at > now() + coalesce(w.renew_ahead, make_interval(secs => $2))))
order by c.id

-- name: purge
delete from private.watch_channels
where (status = 'stopped' or expires_at < now()
    -- Nobody knows whether it was opened; the longest that it can have lived is over.
    or status = 'opening' and created_at < now() - interval '30 days')
  and created_at < now() - interval '2 days'
  and coalesce(expires_at, created_at) < now() - interval '1 day'
