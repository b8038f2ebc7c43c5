-- Calendar lists are kept current like calendars are: a position in the list's own feed and a channel
-- of its own. Channels know when they are to be renewed and how they fared. Schedules run once.

-- *asked* counts how often a reading was asked for, *answered* up to where that was done.
create table private.calendar_lists (
  connection_id uuid primary key references public.calendar_connections (id) on delete cascade,
  cursor text,
  asked bigint not null default 1,
  answered bigint not null default 0,
  next_read_at timestamptz not null default now(),
  -- Changes of names, zones and rights are not in the deltas of a list.
  full_due_at timestamptz not null default now(),
  rest_until timestamptz,
  no_push_until timestamptz,
  lease_token uuid,
  lease_until timestamptz,
  updated_at timestamptz not null default now()
);

insert into private.calendar_lists (connection_id)
select id from public.calendar_connections where status <> 'disconnected';

-- Which process does a scheduled job. A row, not a session's lock: that would not survive a
-- transaction pooler.
create table private.job_leases (
  job text primary key,
  token uuid not null,
  until timestamptz not null
);

do $$
declare
  tab text;
begin
  foreach tab in array array['calendar_lists', 'job_leases'] loop
    execute format('alter table private.%I enable row level security', tab);
    execute format('create policy "machine works on all rows" on private.%I for all
      to calsync_service using (true) with check (true)', tab);
    execute format('revoke all on private.%I from public, anon, authenticated, service_role', tab);
    execute format('grant select, insert, update, delete on private.%I to calsync_service', tab);
  end loop;
end
$$;

alter table private.watch_channels
  alter column calendar_id drop not null,
  -- Set for the channel of an account's calendar list.
  add column connection_id uuid references public.calendar_connections (id) on delete cascade,
  -- How long before its end it is renewed; not the same for all, so that renewals spread.
  add column renew_ahead interval,
  add constraint watch_channels_target_check check ((calendar_id is null) <> (connection_id is null));

create index watch_channels_connection_id_idx on private.watch_channels (connection_id)
  where connection_id is not null;

alter table private.calendar_feeds
  -- Tries in a row to open a channel that failed, and channels in a row that told nothing.
  add column push_failures integer not null default 0,
  add column push_silences integer not null default 0,
  -- What the calendar was when its account was disconnected, for when it is connected again.
  add column was_enabled boolean not null default false,
  add column was_default_target boolean not null default false;

-- As before, and: a notice for a calendar list asks for the list to be read ('listed'); one for a
-- calendar that is turned off is 'ignored'; one that tells of a change proves that notices arrive.
create or replace function public.record_google_notice(p_channel_id text, p_secret text,
  p_resource_id text, p_message_number bigint)
returns text
language plpgsql security definer set search_path = ''
as $$
declare
  channel private.watch_channels;
begin
  select * into channel from private.watch_channels w
  where w.id = p_channel_id
    and w.secret_hash = pg_catalog.sha256(pg_catalog.convert_to(p_secret, 'UTF8'))
    and (w.resource_id is null or w.resource_id = p_resource_id)
  for update;
  if not found then
    return 'refused';
  end if;
  if channel.status = 'stopped' or channel.expires_at < now() - interval '1 hour' then
    return 'ignored';
  end if;
  update private.watch_channels w
  set last_message_at = now(),
      last_message_number = greatest(w.last_message_number, p_message_number),
      resource_id = coalesce(w.resource_id, p_resource_id)
  where w.id = channel.id;
  if channel.connection_id is not null then
    update private.calendar_lists l set asked = l.asked + 1, updated_at = now()
    where l.connection_id = channel.connection_id;
    return 'listed';
  end if;
  if not exists (select from public.calendars c where c.id = channel.calendar_id and c.enabled) then
    return 'ignored';
  end if;
  if p_message_number > 1 then
    update private.calendar_feeds f set push_silences = 0
    where f.calendar_id = channel.calendar_id and f.push_silences > 0;
  end if;
  perform private.enqueue_pull(channel.calendar_id, 'webhook');
  return 'recorded';
end
$$;

-- As before, but what triggers write is not the user's doing.
create or replace function private.guard_calendar() returns trigger
language plpgsql set search_path = ''
as $$
declare
  settings constant text[] := array['enabled', 'direction', 'default_target', 'mirror',
                                    'conflict_policy', 'updated_at'];
begin
  if current_setting('role', true) in ('anon', 'authenticated') and pg_catalog.pg_trigger_depth() = 1
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

-- Why a calendar cannot be turned on while another account of its user syncs the same one; null when
-- none does.
create function private.doubled_reason(p_user_id uuid, p_provider text, p_external_id text,
  p_connection_id uuid)
returns text
language sql stable set search_path = ''
as $$
  select 'It is synced already through another account'
    || coalesce(' (' || max(k.account_email) || ')', '') || '.'
  from public.calendars c
  join public.calendar_connections k on k.id = c.connection_id
  where c.user_id = p_user_id and c.provider = p_provider and c.external_id = p_external_id
    and c.connection_id <> p_connection_id and c.enabled
  having count(*) > 0
$$;

-- The same calendar, seen through another account, says why it is not synced there.
create function private.show_doubled_calendars() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.calendars c
  set unsyncable_reason =
    private.doubled_reason(c.user_id, c.provider, c.external_id, c.connection_id)
  where c.user_id = new.user_id and c.provider = new.provider
    and c.external_id = new.external_id and c.id <> new.id and not c.enabled
    and (c.unsyncable_reason is null
      or c.unsyncable_reason like 'It is synced already through another account%');
  return null;
end
$$;

create trigger calendars_show_doubled after update of enabled on public.calendars
  for each row when (new.enabled is distinct from old.enabled)
  execute function private.show_doubled_calendars();

revoke execute on function private.doubled_reason(uuid, text, text, uuid),
  private.show_doubled_calendars() from public, anon, authenticated, service_role;
grant execute on function private.doubled_reason(uuid, text, text, uuid) to calsync_service;
