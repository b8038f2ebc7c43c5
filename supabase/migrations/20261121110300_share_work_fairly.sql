-- Who works on what next: calendars take turns, what somebody waits for comes before what is done in
-- bulk, and a calendar's writes follow one another, however many workers there are.

alter table public.calendar_connections
  -- Until then nothing of the account is worked on: the provider asked for it, or the budget is spent.
  add column rest_until timestamptz,
  -- Until then nothing in bulk: its share of the budget is spent.
  add column bulk_rest_until timestamptz,
  -- Until then nothing is written: the provider locked the account after too much use.
  add column writes_parked_until timestamptz,
  add column writes_parked_for interval;

-- When each calendar last had its turn. Only claims write here, one after the other.
create table private.calendar_turns (
  calendar_id uuid primary key references public.calendars (id) on delete cascade,
  taken_at timestamptz not null
);

alter table private.calendar_turns enable row level security;
create policy "machine works on all rows" on private.calendar_turns
  for all to calsync_service using (true) with check (true);
revoke all on private.calendar_turns from public, anon, authenticated, service_role;
grant select, insert, update, delete on private.calendar_turns to calsync_service;

drop index public.sync_queue_claim_idx;
create index sync_queue_turn_idx on public.sync_queue (calendar_id, kind, priority, run_at, id)
  where status = 'pending';
create index sync_queue_processing_idx on public.sync_queue (calendar_id)
  where status = 'processing';

-- Every calendar with pending work that can be done, and from when: *reads_from*, *writes_from*, and
-- *bulk_from* for what is of priority 5 and above. Walks from calendar to calendar in the index, so
-- ten thousand rows of one calendar cost no more than one.
create view private.waiting_calendars with (security_invoker = true) as
with recursive waiting (calendar_id) as (
  (select q.calendar_id from public.sync_queue q
   where q.status = 'pending' order by q.calendar_id limit 1)
  union all
  select (select q.calendar_id from public.sync_queue q
          where q.status = 'pending' and q.calendar_id > w.calendar_id
          order by q.calendar_id limit 1)
  from waiting w where w.calendar_id is not null
)
select w.calendar_id,
  coalesce(t.taken_at, '-infinity') as taken_at,
  coalesce(k.rest_until, '-infinity') as reads_from,
  coalesce(k.bulk_rest_until, '-infinity') as bulk_from,
  -- A calendar that was out of reach is tried by pulls alone, until one succeeds.
  case when c.state = 'action_required' then 'infinity'
    else greatest(coalesce(k.rest_until, '-infinity'), coalesce(k.writes_parked_until, '-infinity'),
      -- A write that takes longer than this hangs or died with its worker: no reason to wait on.
      (select max(p.updated_at) + interval '10 seconds' from public.sync_queue p
       where p.status = 'processing' and p.kind = 'push' and p.calendar_id = w.calendar_id))
  end as writes_from
from waiting w
join public.calendars c on c.id = w.calendar_id
join public.calendar_connections k on k.id = c.connection_id
left join private.calendar_turns t on t.calendar_id = w.calendar_id
where c.enabled and c.state not in ('paused', 'disconnected') and k.status = 'active';

revoke all on private.waiting_calendars from public, anon, authenticated, service_role, calsync_service;
grant select on private.waiting_calendars to calsync_service;

-- Lease up to p_limit due rows, of them p_bulk_limit in bulk, at most one push and one pull a calendar.
-- What somebody waits for goes first, then whoever had a turn longest ago. Claims follow one another,
-- so that each sees what the others took; rows that a user's transaction is touching are passed over.
create function private.claim_work(p_limit integer, p_bulk_limit integer, p_lease_s double precision)
returns table (id bigint, user_id uuid, kind text, event_id uuid, calendar_id uuid, reason text,
  priority smallint, generation bigint, attempts integer, snoozes integer, lease_token uuid,
  asked_at timestamptz, claimed_at timestamptz)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
declare
  moment timestamptz;
begin
  perform pg_catalog.pg_advisory_xact_lock(7241010);
  moment := pg_catalog.clock_timestamp();
  return query
  with best as (
    select w.calendar_id, w.taken_at, b.kind, b.priority, b.run_at, b.id
    from private.waiting_calendars w
    cross join lateral (
      (select q.id, q.kind, q.priority, q.run_at from public.sync_queue q
       where q.status = 'pending' and q.calendar_id = w.calendar_id and q.kind = 'push'
         and q.run_at <= moment and w.writes_from <= moment
         and (q.priority < 5 or w.bulk_from <= moment)
       order by q.priority, q.run_at, q.id limit 1)
      union all
      (select q.id, q.kind, q.priority, q.run_at from public.sync_queue q
       where q.status = 'pending' and q.calendar_id = w.calendar_id and q.kind = 'pull'
         and q.run_at <= moment and w.reads_from <= moment
         and (q.priority < 5 or w.bulk_from <= moment)
       order by q.priority, q.run_at, q.id limit 1)
    ) as b
  ), ranked as (
    select *, row_number() over (partition by priority >= 5
      order by priority, taken_at, run_at, id) as place
    from best
  ), chosen as (
    select * from ranked where priority < 5 or place <= p_bulk_limit
    order by priority, taken_at, run_at, id limit p_limit
  ), turns as (
    insert into private.calendar_turns (calendar_id, taken_at)
    select distinct calendar_id, moment from chosen
    on conflict (calendar_id) do update set taken_at = excluded.taken_at
  ), picked as (
    select q.id, q.updated_at as asked_at
    from chosen h
    cross join lateral (
      select s.id, s.updated_at from public.sync_queue s
      where s.status = 'pending' and s.calendar_id = h.calendar_id and s.kind = h.kind
        and s.run_at <= moment and (s.priority < 5 or h.priority >= 5)
      order by s.priority, s.run_at, s.id
      limit 1 for update skip locked
    ) as q
  )
  update public.sync_queue q
  set status = 'processing', attempts = q.attempts + 1, lease_token = gen_random_uuid(),
    lease_until = moment + make_interval(secs => p_lease_s), updated_at = moment
  from picked
  where q.id = picked.id
  returning q.id, q.user_id, q.kind, q.event_id, q.calendar_id, q.reason, q.priority, q.generation,
    q.attempts, q.snoozes, q.lease_token, picked.asked_at, q.updated_at;
end
$$;

revoke execute on function private.claim_work(integer, integer, double precision)
  from public, anon, authenticated, service_role;
grant execute on function private.claim_work(integer, integer, double precision) to calsync_service;

-- More than a person changes at once is done in bulk, after what somebody waits for.
create or replace function private.enqueue_pushes(p_user_ids uuid[], p_event_ids uuid[],
  p_calendar_ids uuid[], p_reasons text[])
returns integer
language plpgsql set search_path = ''
as $$
declare
  queued integer;
begin
  insert into public.sync_queue as q (user_id, kind, event_id, calendar_id, reason, priority)
  select asked.user_id, 'push', asked.event_id, asked.calendar_id, asked.reason,
    case when cardinality(p_event_ids) > 20 then 5 else 0 end
  from unnest(p_user_ids, p_event_ids, p_calendar_ids, p_reasons)
    as asked (user_id, event_id, calendar_id, reason)
  order by asked.event_id, asked.calendar_id
  on conflict (event_id, calendar_id) where kind = 'push' and status <> 'completed'
  do update set
    generation = q.generation + 1,
    status = case q.status when 'failed' then 'pending' else q.status end,
    attempts = case q.status when 'processing' then q.attempts else 0 end,
    run_at = case q.status when 'processing' then q.run_at else least(q.run_at, now()) end,
    priority = least(q.priority, excluded.priority),
    reason = excluded.reason,
    updated_at = now();
  get diagnostics queued = row_count;
  if queued > 0 then
    perform pg_catalog.pg_notify('calsync_queue', '');
  end if;
  return queued;
end
$$;
