-- Which remote event an event is, what both sides last agreed on, and what is still to be done.

create table public.event_mappings (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  -- No foreign key: the mapping outlives a hard-deleted event, it is how its remote copy is found.
  event_id uuid not null,
  calendar_id uuid not null references public.calendars (id) on delete cascade,
  external_id text not null,
  ical_uid text,
  html_link text,
  etag text,
  external_updated_at timestamptz,
  base jsonb,
  fingerprint text,
  event_version bigint,
  provider_data jsonb not null default '{}',
  sync_source text not null default 'app',
  status text not null default 'pending' constraint event_mappings_status_check
    check (status in ('pending', 'synced', 'conflict', 'failed', 'deleted')),
  last_synced_at timestamptz,
  last_error jsonb,
  -- The remote copy may have moved on: whoever works on it next reads it first.
  stale boolean not null default false,
  -- What a worker is sending at this moment, or was when it died: found there, it is our own write.
  intent jsonb,
  seen_pass uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint event_mappings_external_id_key unique (calendar_id, external_id),
  constraint event_mappings_event_id_key unique (event_id, calendar_id)
);

create index event_mappings_user_id_idx on public.event_mappings (user_id);

-- A set, not a log: at most one unfinished push for an (event, calendar), one pull for a calendar.
-- *generation* counts how often the work was asked for; a worker that finds it moved goes again.
create table public.sync_queue (
  id bigint generated always as identity primary key,
  user_id uuid not null,
  kind text not null constraint sync_queue_kind_check check (kind in ('push', 'pull')),
  event_id uuid,
  calendar_id uuid not null references public.calendars (id) on delete cascade,
  status text not null default 'pending' constraint sync_queue_status_check
    check (status in ('pending', 'processing', 'completed', 'failed')),
  priority smallint not null default 0,
  reason text,
  generation bigint not null default 1,
  attempts integer not null default 0,
  -- How often in a row it was told to slow down; that is no attempt, but waits longer each time.
  snoozes integer not null default 0,
  run_at timestamptz not null default now(),
  lease_token uuid,
  lease_until timestamptz,
  last_error jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  completed_at timestamptz,
  constraint sync_queue_event_id_check check ((kind = 'push') = (event_id is not null))
);

create unique index sync_queue_push_key on public.sync_queue (event_id, calendar_id)
  where kind = 'push' and status <> 'completed';
create unique index sync_queue_pull_key on public.sync_queue (calendar_id)
  where kind = 'pull' and status <> 'completed';
create index sync_queue_claim_idx on public.sync_queue (priority, run_at, id)
  where status = 'pending';
create index sync_queue_lease_idx on public.sync_queue (lease_until) where status = 'processing';
create index sync_queue_failed_idx on public.sync_queue (updated_at) where status = 'failed';
create index sync_queue_user_idx on public.sync_queue (user_id, status);
create index sync_queue_calendar_id_idx on public.sync_queue (calendar_id);
create index sync_queue_completed_idx on public.sync_queue (completed_at)
  where status = 'completed';

-- The calendars that should hold an event: its home (or the default target when it has none) and
-- every calendar that mirrors all.
create function private.event_targets(p_user_id uuid, p_home uuid) returns setof uuid
language sql stable set search_path = ''
as $$
  select c.id
  from public.calendars c
  where c.user_id = p_user_id and c.enabled and c.direction <> 'pull'
    and c.unsyncable_reason is null
    and (c.id = p_home or (p_home is null and c.default_target) or c.mirror = 'all')
$$;

-- Whether a calendar should hold an event, be it able to take writes just now or not. An event
-- without a home stays where it is while its user has no default target.
create function private.belongs(p_user_id uuid, p_home uuid, p_event_id uuid, p_calendar_id uuid)
returns boolean
language sql stable set search_path = ''
as $$
  select exists (
    select from public.calendars c
    where c.id = p_calendar_id and c.user_id = p_user_id
      and (c.id = p_home or c.mirror = 'all'
        or (p_home is null and (c.default_target or (
          not exists (select from public.calendars d
            where d.user_id = p_user_id and d.default_target)
          and exists (select from public.event_mappings m
            where m.event_id = p_event_id and m.calendar_id = c.id and m.status <> 'deleted'))))))
$$;

-- One door into the queue: asking again for unfinished work only raises its generation.
-- Takes parallel arrays, one element a push; answers how many there were.
create function private.enqueue_pushes(p_user_ids uuid[], p_event_ids uuid[], p_calendar_ids uuid[],
  p_reasons text[])
returns integer
language plpgsql set search_path = ''
as $$
declare
  queued integer;
begin
  insert into public.sync_queue as q (user_id, kind, event_id, calendar_id, reason)
  select asked.user_id, 'push', asked.event_id, asked.calendar_id, asked.reason
  from unnest(p_user_ids, p_event_ids, p_calendar_ids, p_reasons)
    as asked (user_id, event_id, calendar_id, reason)
  order by asked.event_id, asked.calendar_id
  on conflict (event_id, calendar_id) where kind = 'push' and status <> 'completed'
  do update set
    generation = q.generation + 1,
    status = case q.status when 'failed' then 'pending' else q.status end,
    attempts = case q.status when 'processing' then q.attempts else 0 end,
    run_at = case q.status when 'processing' then q.run_at else least(q.run_at, now()) end,
    reason = excluded.reason,
    updated_at = now();
  get diagnostics queued = row_count;
  if queued > 0 then
    perform pg_catalog.pg_notify('calsync_queue', '');
  end if;
  return queued;
end
$$;

create function private.enqueue_pull(p_calendar_id uuid, p_reason text, p_priority smallint default 0)
returns void
language sql set search_path = ''
as $$
  insert into public.sync_queue as q (user_id, kind, calendar_id, reason, priority)
  select c.user_id, 'pull', c.id, p_reason, p_priority
  from public.calendars c where c.id = p_calendar_id
  on conflict (calendar_id) where kind = 'pull' and status <> 'completed'
  do update set
    generation = q.generation + 1,
    status = case q.status when 'failed' then 'pending' else q.status end,
    attempts = case q.status when 'processing' then q.attempts else 0 end,
    run_at = case q.status when 'processing' then q.run_at else least(q.run_at, now()) end,
    priority = least(q.priority, excluded.priority),
    reason = excluded.reason,
    updated_at = now();
  select pg_catalog.pg_notify('calsync_queue', '')
$$;

-- After every statement on calendar_events, in its transaction: queue a push to each calendar that
-- should hold the event or still does, except the one that the change came from.
create function private.enqueue_changed_events() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  origin constant uuid := private.origin_calendar();
  users uuid[];
  events uuid[];
  targets uuid[];
  reasons text[];
begin
  if tg_op = 'INSERT' then
    select array_agg(e.user_id), array_agg(e.id), array_agg(t.calendar_id), array_agg('created'::text)
    into users, events, targets, reasons
    from new_rows e
    cross join lateral private.event_targets(e.user_id, e.calendar_id) as t (calendar_id)
    where e.deleted_at is null and t.calendar_id is distinct from origin;
  elsif tg_op = 'UPDATE' then
    select array_agg(e.user_id), array_agg(e.id), array_agg(t.calendar_id),
      array_agg(case when e.deleted_at is null then 'updated' else 'deleted' end)
    into users, events, targets, reasons
    from new_rows e
    join old_rows o on o.id = e.id and o.version <> e.version
    cross join lateral (
      select s.calendar_id from private.event_targets(e.user_id, e.calendar_id) as s (calendar_id)
      where e.deleted_at is null
      union
      select m.calendar_id from public.event_mappings m
      where m.event_id = e.id and m.status <> 'deleted'
    ) as t
    where t.calendar_id is distinct from origin;
  else
    select array_agg(e.user_id), array_agg(e.id), array_agg(m.calendar_id), array_agg('deleted'::text)
    into users, events, targets, reasons
    from old_rows e
    join public.event_mappings m on m.event_id = e.id and m.status <> 'deleted'
    where m.calendar_id is distinct from origin;
  end if;
  if events is not null then
    perform private.enqueue_pushes(users, events, targets, reasons);
  end if;
  return null;
end
$$;

create trigger calendar_events_enqueue_insert after insert on public.calendar_events
  referencing new table as new_rows
  for each statement execute function private.enqueue_changed_events();
create trigger calendar_events_enqueue_update after update on public.calendar_events
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.enqueue_changed_events();
create trigger calendar_events_enqueue_delete after delete on public.calendar_events
  referencing old table as old_rows
  for each statement execute function private.enqueue_changed_events();

-- What users may change of a calendar, and what follows from it.
create function private.guard_calendar() returns trigger
language plpgsql set search_path = ''
as $$
declare
  settings constant text[] := array['enabled', 'direction', 'default_target', 'mirror',
                                    'conflict_policy', 'updated_at'];
begin
  if current_setting('role', true) in ('anon', 'authenticated')
     and to_jsonb(new) - settings <> to_jsonb(old) - settings then
    raise sqlstate 'PT403' using message = 'Only the settings of a calendar can be changed.',
      hint = 'enabled, direction, default_target, mirror, conflict_policy';
  end if;
  if new.enabled and new.unsyncable_reason is not null and not old.enabled then
    raise sqlstate 'PT422' using message = 'enabled: ' || new.unsyncable_reason, detail = 'enabled';
  end if;
  if new.enabled and not old.enabled then
    new.state := 'catching_up';
    new.state_reason := null;
  elsif old.enabled and not new.enabled and new.state <> 'disconnected' then
    new.state := 'paused';
    new.state_reason := 'This calendar is not synced: it is turned off.';
    new.default_target := false;
  end if;
  if new.default_target and not old.default_target then
    update public.calendars set default_target = false
    where user_id = new.user_id and id <> new.id and default_target;
  end if;
  new.updated_at := now();
  return new;
end
$$;

create trigger calendars_guard before update on public.calendars
  for each row execute function private.guard_calendar();

create function private.follow_calendar_settings() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if new.enabled and (new.enabled, new.direction, new.default_target, new.mirror)
       is distinct from (old.enabled, old.direction, old.default_target, old.mirror) then
    insert into private.calendar_feeds (calendar_id) values (new.id)
    on conflict (calendar_id) do update set wants_full = true, updated_at = now();
    perform private.enqueue_pull(new.id, 'settings');
  end if;
  return null;
end
$$;

create trigger calendars_follow_settings
  after update of enabled, direction, default_target, mirror on public.calendars
  for each row execute function private.follow_calendar_settings();
