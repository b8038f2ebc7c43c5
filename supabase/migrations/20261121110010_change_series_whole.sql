-- Changes of a series and its exceptions that must happen together, and what it takes that an
-- occurrence is cancelled by inserting its row as deleted.

-- As before, and: a deleted row that stands for an occurrence is news. The calendars of its series
-- learn that it does not take place, though they hold no copy of it on record.
create or replace function private.enqueue_changed_events() returns trigger
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
    select array_agg(e.user_id), array_agg(e.id), array_agg(t.calendar_id),
      array_agg(case when e.deleted_at is null then 'created' else 'deleted' end)
    into users, events, targets, reasons
    from new_rows e
    cross join lateral private.event_targets(e.user_id, e.calendar_id) as t (calendar_id)
    where (e.deleted_at is null or e.series_id is not null)
      and t.calendar_id is distinct from origin;
  elsif tg_op = 'UPDATE' then
    select array_agg(e.user_id), array_agg(e.id), array_agg(t.calendar_id),
      array_agg(case when e.deleted_at is null then 'updated' else 'deleted' end)
    into users, events, targets, reasons
    from new_rows e
    join old_rows o on o.id = e.id and o.version <> e.version
    cross join lateral (
      select s.calendar_id from private.event_targets(e.user_id, e.calendar_id) as s (calendar_id)
      where e.deleted_at is null or e.series_id is not null
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

-- As before, and: an exception that was deleted from its first moment on is brought back.
create or replace function public.restore_event(p_event_id uuid, p_version bigint default null)
returns setof public.calendar_events
language plpgsql set search_path = ''
as $$
declare
  restored public.calendar_events;
  step record;
  wanted bigint := p_version;
  present boolean;
  steps integer := 0;
begin
  select * into restored from public.calendar_events e where e.id = p_event_id;
  present := found;
  for step in
    select (a.detail ->> 'version')::bigint as version, a.detail -> 'before' as before
    from public.sync_audit a
    where a.event_id = p_event_id and a.detail ? 'before'
    order by a.id desc
  loop
    wanted := coalesce(wanted, step.version - 1);
    exit when step.version <= wanted;
    restored := pg_catalog.jsonb_populate_record(restored, step.before);
    steps := steps + 1;
  end loop;
  if steps = 0 and present and p_version is null
     and restored.series_id is not null and restored.deleted_at is not null then
    restored.deleted_at := null;
  elsif steps = 0 then
    if not present then
      raise sqlstate 'PT404' using message = 'There is no such event, nor a trace of one.';
    end if;
    raise sqlstate 'PT409' using message = 'There is no earlier version to put back.',
      hint = 'Versions are kept for 30 days.';
  end if;
  if not exists (select from public.calendars c where c.id = restored.calendar_id) then
    -- The calendar that it lived in is gone; the default target takes it.
    restored.calendar_id := null;
  end if;
  if present then
    return query
      update public.calendar_events e
      set calendar_id = restored.calendar_id, title = restored.title,
        description = restored.description, location = restored.location, notes = restored.notes,
        start_time = restored.start_time, end_time = restored.end_time,
        all_day = restored.all_day, time_zone = restored.time_zone,
        recurrence = restored.recurrence, status = restored.status,
        visibility = restored.visibility, transparency = restored.transparency,
        attendees = restored.attendees, reminders = restored.reminders,
        attachments = restored.attachments, conference = restored.conference,
        color = restored.color, kind = restored.kind, metadata = restored.metadata,
        deleted_at = restored.deleted_at
      where e.id = p_event_id
      returning e.*;
  else
    restored.deleted_at := null;
    return query insert into public.calendar_events select restored.* returning *;
  end if;
end
$$;

-- Changes a series and its exceptions in one transaction, if they are still at the given versions
-- ({id: version} of all of them, deleted exceptions included), else nothing. First p_new is
-- inserted, then each of p_changes is made in its order: {"id": …} and the columns to set. Runs as
-- the caller, so row-level security decides whose events these are. Answers p_new, or else the series.
create function public.change_series(p_series_id uuid, p_versions jsonb, p_new jsonb, p_changes jsonb)
returns setof public.calendar_events
language plpgsql set search_path = ''
as $$
declare
  found_versions jsonb;
  change jsonb;
begin
  perform from public.calendar_events e
  where e.id = p_series_id or e.series_id = p_series_id
  order by e.id for update;
  select pg_catalog.jsonb_object_agg(e.id, e.version) into found_versions
  from public.calendar_events e where e.id = p_series_id or e.series_id = p_series_id;
  if found_versions is distinct from p_versions then
    raise sqlstate 'PT409' using message = 'The series was changed meanwhile; nothing was changed.';
  end if;
  if pg_catalog.jsonb_typeof(p_new) = 'object' then
    insert into public.calendar_events (id, user_id, calendar_id, title, description, location,
      notes, start_time, end_time, all_day, time_zone, recurrence, series_id, original_start_time,
      status, visibility, transparency, attendees, reminders, attachments, conference, color, kind,
      metadata)
    select n.id, m.user_id, n.calendar_id, n.title, n.description, n.location, n.notes,
      n.start_time, n.end_time, n.all_day, n.time_zone, n.recurrence, n.series_id,
      n.original_start_time, n.status, n.visibility, n.transparency, n.attendees, n.reminders,
      n.attachments, n.conference, n.color, n.kind, n.metadata
    from public.calendar_events m
    cross join lateral pg_catalog.jsonb_populate_record(null::public.calendar_events, p_new) as n
    where m.id = p_series_id;
  end if;
  for change in select c.value from pg_catalog.jsonb_array_elements(p_changes) as c loop
    update public.calendar_events e
    set calendar_id = n.calendar_id, title = n.title, description = n.description,
      location = n.location, notes = n.notes, start_time = n.start_time, end_time = n.end_time,
      all_day = n.all_day, time_zone = n.time_zone, recurrence = n.recurrence,
      series_id = n.series_id, original_start_time = n.original_start_time, status = n.status,
      visibility = n.visibility, transparency = n.transparency, attendees = n.attendees,
      reminders = n.reminders, attachments = n.attachments, conference = n.conference,
      color = n.color, kind = n.kind, metadata = n.metadata, deleted_at = n.deleted_at
    from public.calendar_events o
    cross join lateral pg_catalog.jsonb_populate_record(o, change) as n
    where o.id = (change ->> 'id')::uuid and e.id = o.id;
  end loop;
  return query select e.* from public.calendar_events e
    where e.id = coalesce((p_new ->> 'id')::uuid, p_series_id);
end
$$;

revoke execute on function public.change_series(uuid, jsonb, jsonb, jsonb) from public, anon;
grant execute on function public.change_series(uuid, jsonb, jsonb, jsonb)
  to authenticated, service_role;
