-- name: register
-- Before the provider is asked: its first message may come before its answer.
insert into private.watch_channels (id, calendar_id, secret_hash) values ($1, $2, $3)

-- name: opened
update private.watch_channels set status = 'open', resource_id = $2, expires_at = $3
where id = $1 and status = 'opening'

-- name: distrust
-- The account was away: the provider may have ended its channels, so each is replaced and stopped.
update private.watch_channels w set expires_at = least(w.expires_at, now())
from public.calendars c
where c.id = w.calendar_id and c.connection_id = $1 and w.status = 'open'

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
-- The calendar has a channel with more than the margin left, or can have none for now.
select exists (
  select from private.watch_channels w
  where w.calendar_id = $1 and w.status = 'open'
    and (w.expires_at is null or w.expires_at > now() + make_interval(secs => $2)))
  or exists (
  select from private.calendar_feeds f where f.calendar_id = $1 and f.no_push_until > now())

-- name: leave_to_poll
update private.calendar_feeds set no_push_until = now() + make_interval(secs => $2)
where calendar_id = $1

-- name: stoppable
-- Channels of a calendar that may live at the provider, oldest first; when $2 is true without the
-- newest and without one that is just being opened. Where a process died before it could record the
-- answer, the resource is that of the others: all channels of a calendar watch the same.
select w.id, r.resource_id from private.watch_channels w
cross join lateral (
  select coalesce(w.resource_id, max(o.resource_id)) as resource_id
  from private.watch_channels o where o.calendar_id = $1) r
where w.calendar_id = $1 and w.status <> 'stopped' and r.resource_id is not null
  and not ($2 and w.status = 'opening' and w.created_at > now() - interval '10 minutes')
  and not ($2 and w.id = (
    select n.id from private.watch_channels n
    where n.calendar_id = $1 and n.status = 'open' order by n.created_at desc limit 1))
order by w.created_at

-- name: due_calendars
-- Enabled calendars of active connections without a channel that lasts beyond the margin.
select c.id from public.calendars c
join public.calendar_connections k on k.id = c.connection_id and k.status = 'active'
where c.enabled and c.state not in ('paused', 'disconnected') and c.provider = $1
  and not exists (
    select from private.calendar_feeds f where f.calendar_id = c.id and f.no_push_until > now())
  and not exists (
    select from private.watch_channels w
    where w.calendar_id = c.id and w.status = 'open'
      and (w.expires_at is null or w.expires_at > now() + make_interval(secs => $2)))
order by c.id

-- name: purge
delete from private.watch_channels
where (status = 'stopped' or expires_at < now()
    -- Nobody knows whether it was opened; the longest that it can have lived is over.
    or status = 'opening' and created_at < now() - interval '30 days')
  and created_at < now() - interval '2 days'
  and coalesce(expires_at, created_at) < now() - interval '1 day'
