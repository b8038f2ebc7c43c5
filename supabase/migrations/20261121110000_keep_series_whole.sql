-- A series is a master row and its exceptions: rows that stand for one occurrence each. What holds for
-- the whole series (where it lives, whether it exists) holds for its exceptions, and an occurrence
-- that was cancelled stays cancelled for as long as there is a series.

-- What stood for the same occurrence twice becomes an event of its own.
update public.calendar_events e set series_id = null, original_start_time = null
where exists (
  select from public.calendar_events f
  where f.series_id = e.series_id and f.original_start_time = e.original_start_time
    and (f.created_at, f.id) < (e.created_at, e.id));

alter table public.calendar_events
  add constraint calendar_events_occurrence_key unique (series_id, original_start_time),
  add constraint calendar_events_occurrence_check check (
    (series_id is null) = (original_start_time is null)
    and (series_id is null or recurrence is null)
    and series_id <> id);

-- As before, and: a recurrence has at least one rule or date. Whether a series can be joined is
-- asked when an event joins it (private.join_series), not at every edit.
create or replace function private.check_event(e public.calendar_events) returns void
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
      where line is null or line !~ '^(RRULE|EXRULE|RDATE|EXDATE)[:;]' or line ~ '[[:cntrl:]]') then
    perform private.refuse_event('recurrence',
      'each line must be one RRULE, EXRULE, RDATE or EXDATE; start_time says when it starts');
  elsif e.recurrence is not null and not exists (
      select from pg_catalog.unnest(e.recurrence) as line where line ~ '^(RRULE|RDATE)[:;]') then
    perform private.refuse_event('recurrence', 'needs an RRULE or an RDATE');
  elsif e.recurrence is not null and not e.all_day and e.time_zone is null then
    perform private.refuse_event('time_zone', 'is needed by a timed event that repeats');
  elsif e.calendar_id is not null and not exists (
      select from public.calendars c where c.id = e.calendar_id and c.user_id = e.user_id) then
    perform private.refuse_event('calendar_id', 'is not a calendar of this user');
  end if;
end
$$;

-- An exception joins a live series of its owner and lives where the series lives.
create function private.join_series() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  master public.calendar_events;
begin
  if new.recurrence = '{}' then new.recurrence := null; end if;
  if new.series_id is null then
    return new;
  end if;
  select * into master from public.calendar_events m
  where m.id = new.series_id and m.user_id = new.user_id;
  if coalesce(private.origin_source(), 'manual') = 'manual'
     and (tg_op = 'INSERT' or (new.series_id, new.original_start_time)
       is distinct from (old.series_id, old.original_start_time)) then
    if master.recurrence is null or master.id = new.id then
      perform private.refuse_event('series_id', 'is not a repeating event of this user');
    elsif master.deleted_at is not null and new.deleted_at is null then
      perform private.refuse_event('series_id', 'is a deleted series; restore the series first');
    elsif master.all_day
       and pg_catalog.date_trunc('day', new.original_start_time, 'UTC') <> new.original_start_time then
      perform private.refuse_event('original_start_time',
        'must be the UTC midnight of a date: the series is of all-day events');
    elsif exists (select from public.calendar_events e where e.series_id = new.id) then
      perform private.refuse_event('series_id', 'an event with occurrences cannot be one itself');
    end if;
  end if;
  if master.id is not null then
    new.calendar_id := master.calendar_id;
  end if;
  return new;
end
$$;

-- Before the stamp, which looks at what is left of the change.
create trigger calendar_events_join_series before insert or update on public.calendar_events
  for each row execute function private.join_series();

-- After a statement moved, deleted or brought back masters: their exceptions go along. Those that
-- were cancelled at another time than the series was deleted stay cancelled.
create function private.carry_exceptions() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if exists (
      select from new_rows n
      join old_rows o on o.id = n.id
        and (o.calendar_id, o.deleted_at) is distinct from (n.calendar_id, n.deleted_at)
      join public.calendar_events e on e.series_id = n.id) then
    update public.calendar_events e
    set calendar_id = n.calendar_id,
      deleted_at = case when e.deleted_at is not distinct from o.deleted_at then n.deleted_at
        else e.deleted_at end
    from new_rows n
    join old_rows o on o.id = n.id
      and (o.calendar_id, o.deleted_at) is distinct from (n.calendar_id, n.deleted_at)
    where e.series_id = n.id;
  end if;
  if coalesce(private.origin_source(), 'manual') = 'manual' and exists (
      select from new_rows n
      join old_rows o on o.id = n.id and o.deleted_at is not null and n.deleted_at is null
      join public.calendar_events m on m.id = n.series_id and m.deleted_at is not null) then
    perform private.refuse_event('deleted_at', 'its series is deleted; restore the series');
  end if;
  return null;
end
$$;

-- After the other triggers of the statement, so that the series itself is queued first.
create trigger calendar_events_pass_on after update on public.calendar_events
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.carry_exceptions();

-- Deleting the row of an exception cancels the occurrence. The row goes when its series goes, or its
-- user. (DELETE then reports one row less; the soft delete is a change like any other.)
create function private.keep_cancelled() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if not exists (select from public.calendar_events m where m.id = old.series_id)
     or not exists (select from auth.users u where u.id = old.user_id) then
    return old;
  end if;
  update public.calendar_events set deleted_at = now() where id = old.id and deleted_at is null;
  return null;
end
$$;

create trigger calendar_events_keep_cancelled before delete on public.calendar_events
  for each row when (old.series_id is not null) execute function private.keep_cancelled();

revoke execute on function private.join_series(), private.carry_exceptions(),
  private.keep_cancelled() from public, anon, authenticated, service_role;
