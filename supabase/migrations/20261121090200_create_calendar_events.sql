-- The application's own events. Whoever writes here, through whatever door, is synced alike.

create table public.calendar_events (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  calendar_id uuid,
  title text not null default '',
  description text,
  location text,
  notes text,
  start_time timestamptz not null,
  end_time timestamptz not null,
  all_day boolean not null default false,
  time_zone text,
  recurrence text[],
  series_id uuid,
  original_start_time timestamptz,
  status text not null default 'confirmed',
  visibility text not null default 'default',
  transparency text not null default 'opaque',
  attendees jsonb not null default '[]',
  reminders jsonb,
  attachments jsonb not null default '[]',
  conference jsonb,
  color text,
  kind text not null default 'default',
  metadata jsonb not null default '{}',
  sync_source text not null default 'app' constraint calendar_events_sync_source_check
    check (sync_source in ('app', 'google', 'notion', 'manual')),
  version bigint not null default 1,
  deleted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint calendar_events_owner_key unique (id, user_id),
  constraint calendar_events_calendar_id_fkey foreign key (calendar_id, user_id)
    references public.calendars (id, user_id) on delete set null (calendar_id),
  constraint calendar_events_series_id_fkey foreign key (series_id, user_id)
    references public.calendar_events (id, user_id) on delete cascade
);

create index calendar_events_user_start_idx on public.calendar_events (user_id, start_time, id)
  where deleted_at is null;
create index calendar_events_calendar_id_idx on public.calendar_events (calendar_id, user_id);
create index calendar_events_series_id_idx on public.calendar_events (series_id, user_id);
create index calendar_events_deleted_at_idx on public.calendar_events (deleted_at)
  where deleted_at is not null;

-- Refuses what no calendar can hold, naming the field. PTxyz makes the data API answer status xyz.
create function private.refuse_event(p_field text, p_message text) returns void
language plpgsql set search_path = ''
as $$
begin
  raise sqlstate 'PT422' using message = p_field || ': ' || p_message, detail = p_field,
    hint = 'Nothing was changed.';
end
$$;

create function private.is_time_zone(p_name text) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  -- Postgres also takes abbreviations (PST) and POSIX rules (XYZ5); only names of the IANA list pass.
  if p_name !~ '^[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z0-9_+-]*)*$'
     and p_name not in ('EST5EDT', 'CST6CDT', 'MST7MDT', 'PST8PDT')
     or p_name ~ '^[A-Z]+$' and p_name not in ('UTC', 'GMT', 'UCT', 'CET', 'EET', 'MET', 'WET',
       'EST', 'MST', 'HST', 'GB', 'NZ', 'PRC', 'ROC', 'ROK') then
    return false;
  end if;
  perform pg_catalog.timezone(p_name, pg_catalog.now());
  return true;
exception when invalid_parameter_value then
  return false;
end
$$;

create function private.check_event(e public.calendar_events) returns void
language plpgsql set search_path = ''
as $$
begin
  if e.end_time < e.start_time then
    perform private.refuse_event('end_time', 'must not be before start_time');
  elsif not isfinite(e.start_time) or not isfinite(e.end_time)
     or e.start_time < '1900-01-01' or e.end_time >= '2100-01-01' then
    perform private.refuse_event('start_time', 'must lie between the years 1900 and 2099');
  elsif e.all_day and (e.end_time = e.start_time
     or pg_catalog.date_trunc('day', e.start_time, 'UTC') <> e.start_time
     or pg_catalog.date_trunc('day', e.end_time, 'UTC') <> e.end_time) then
    perform private.refuse_event('all_day',
      'needs UTC midnights as start_time and end_time, the end exclusive and at least a day later');
  elsif e.all_day and e.time_zone is not null then
    perform private.refuse_event('time_zone', 'must be null for all-day events');
  elsif e.time_zone is not null and not private.is_time_zone(e.time_zone) then
    perform private.refuse_event('time_zone', 'is not an IANA time zone name');
  elsif e.status not in ('confirmed', 'tentative', 'cancelled') then
    perform private.refuse_event('status', 'must be confirmed, tentative or cancelled');
  elsif e.visibility not in ('default', 'public', 'private', 'confidential') then
    perform private.refuse_event('visibility', 'must be default, public, private or confidential');
  elsif e.transparency not in ('opaque', 'transparent') then
    perform private.refuse_event('transparency', 'must be opaque or transparent');
  elsif pg_catalog.length(e.title) > 1000 then
    perform private.refuse_event('title', 'must not be longer than 1000 characters');
  elsif pg_catalog.length(e.location) > 1000 then
    perform private.refuse_event('location', 'must not be longer than 1000 characters');
  elsif pg_catalog.length(e.description) > 8000 then
    perform private.refuse_event('description', 'must not be longer than 8000 characters');
  elsif pg_catalog.jsonb_typeof(e.attendees) <> 'array' then
    perform private.refuse_event('attendees', 'must be a list');
  elsif pg_catalog.jsonb_typeof(e.attachments) <> 'array' then
    perform private.refuse_event('attachments', 'must be a list');
  elsif pg_catalog.jsonb_typeof(e.metadata) <> 'object' then
    perform private.refuse_event('metadata', 'must be an object');
  elsif pg_catalog.jsonb_typeof(e.reminders) not in ('object', 'null') then
    perform private.refuse_event('reminders', 'must be an object or null');
  elsif pg_catalog.jsonb_typeof(e.conference) not in ('object', 'null') then
    perform private.refuse_event('conference', 'must be an object or null');
  elsif exists (select from pg_catalog.jsonb_array_elements(e.attendees) as guest
      where pg_catalog.jsonb_typeof(guest) <> 'object'
        or coalesce(pg_catalog.jsonb_typeof(guest -> 'email'), '') <> 'string'
        or coalesce(pg_catalog.jsonb_typeof(guest -> 'name'), 'null') not in ('string', 'null')
        or coalesce(guest ->> 'response', '')
           not in ('', 'needs_action', 'declined', 'tentative', 'accepted')
        or coalesce(pg_catalog.jsonb_typeof(guest -> 'response'), 'string') <> 'string'
        or coalesce(pg_catalog.jsonb_typeof(guest -> 'optional'), 'boolean') <> 'boolean'
        or coalesce(pg_catalog.jsonb_typeof(guest -> 'organizer'), 'boolean') <> 'boolean') then
    perform private.refuse_event('attendees',
      'each must be {email, name, response, optional, organizer}');
  elsif exists (select from pg_catalog.jsonb_array_elements(e.attachments) as attachment
      where pg_catalog.jsonb_typeof(attachment) <> 'object'
        or coalesce(pg_catalog.jsonb_typeof(attachment -> 'url'), '') <> 'string') then
    perform private.refuse_event('attachments', 'each must be {url, title, mime_type}');
  elsif e.reminders is not null and (
      coalesce(pg_catalog.jsonb_typeof(e.reminders -> 'use_default'), 'boolean') <> 'boolean'
      or coalesce(pg_catalog.jsonb_typeof(e.reminders -> 'overrides'), 'array') <> 'array') then
    perform private.refuse_event('reminders', 'must be {use_default, overrides}');
  elsif e.reminders is not null and exists (
      select from pg_catalog.jsonb_array_elements(coalesce(e.reminders -> 'overrides', '[]')) as r
      where coalesce(r ->> 'method', '') not in ('popup', 'email')
        or coalesce(r ->> 'minutes', '') !~ '^[0-9]{1,5}$') then
    perform private.refuse_event('reminders',
      'each override must be {method: popup or email, minutes: 0 to 40320}');
  elsif e.recurrence is not null and e.series_id is not null then
    perform private.refuse_event('recurrence', 'must be null for an occurrence of a series');
  elsif (e.series_id is null) <> (e.original_start_time is null) then
    perform private.refuse_event('original_start_time', 'goes together with series_id');
  elsif e.recurrence is not null and exists (
      select from pg_catalog.unnest(e.recurrence) as line
      where line is null or line !~ '^(RRULE|EXRULE|RDATE|EXDATE)[:;]') then
    perform private.refuse_event('recurrence', 'each line must be an RRULE, EXRULE, RDATE or EXDATE');
  elsif e.recurrence is not null and not e.all_day and e.time_zone is null then
    perform private.refuse_event('time_zone', 'is needed by a timed event that repeats');
  elsif e.calendar_id is not null and not exists (
      select from public.calendars c where c.id = e.calendar_id and c.user_id = e.user_id) then
    perform private.refuse_event('calendar_id', 'is not a calendar of this user');
  elsif e.series_id is not null and not exists (
      select from public.calendar_events s
      where s.id = e.series_id and s.user_id = e.user_id and s.recurrence is not null) then
    perform private.refuse_event('series_id', 'is not a repeating event of this user');
  end if;
end
$$;

-- Provenance, version and time stamps are the database's to set. A write that changes nothing
-- keeps all three, so it is not synced either.
create function private.stamp_event() returns trigger
language plpgsql set search_path = ''
as $$
declare
  bookkeeping constant text[] := array['version', 'updated_at', 'created_at', 'sync_source'];
  source constant text := private.origin_source();
  unchecked text[] := bookkeeping || array['deleted_at'];
begin
  if new.reminders = 'null'::jsonb then new.reminders := null; end if;
  if new.conference = 'null'::jsonb then new.conference := null; end if;
  if tg_op = 'UPDATE' then
    if new.id <> old.id or new.user_id <> old.user_id then
      perform private.refuse_event('user_id', 'an event cannot change its id or its owner');
    end if;
    new.created_at := old.created_at;
    if to_jsonb(new) - bookkeeping = to_jsonb(old) - bookkeeping then
      new.version := old.version;
      new.updated_at := old.updated_at;
      new.sync_source := old.sync_source;
      return new;
    end if;
    new.version := old.version + 1;
  else
    new.version := 1;
    new.created_at := now();
  end if;
  new.updated_at := clock_timestamp();
  new.sync_source := coalesce(source, case when new.sync_source = 'manual' then 'manual' else 'app' end);
  -- What a provider holds is taken as it is. Whatever an event says, it can be deleted, and be left
  -- behind by its calendar.
  if new.calendar_id is null then
    unchecked := unchecked || array['calendar_id'];
  end if;
  if coalesce(source, 'manual') = 'manual'
     and (tg_op = 'INSERT' or to_jsonb(new) - unchecked <> to_jsonb(old) - unchecked) then
    perform private.check_event(new);
  end if;
  return new;
end
$$;

create trigger calendar_events_stamp before insert or update on public.calendar_events
  for each row execute function private.stamp_event();
