-- Every change of an event, by whomever, leaves what it replaced: the answer to "what happened?", and
-- enough to put any earlier version back while the audit is kept.

create function private.what_changed(p_old jsonb, p_new jsonb) returns jsonb
language sql immutable set search_path = ''
as $$
  select coalesce(pg_catalog.jsonb_object_agg(o.key, o.value), '{}')
  from pg_catalog.jsonb_each(p_old) as o
  where o.key not in ('version', 'updated_at', 'created_at', 'sync_source')
    and p_new -> o.key is distinct from o.value
$$;

create function private.record_event_history() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  side constant text := coalesce(private.origin_source(), 'app');
  origin constant uuid := private.origin_calendar();
begin
  if tg_op = 'INSERT' then
    insert into public.sync_audit (user_id, calendar_id, event_id, action, source, detail)
    select e.user_id, origin, e.id, 'event.created', side,
      jsonb_build_object('version', e.version, 'title', e.title)
    from new_rows e;
  elsif tg_op = 'UPDATE' then
    insert into public.sync_audit (user_id, calendar_id, event_id, action, source, detail)
    select e.user_id, origin, e.id,
      case when o.deleted_at is null and e.deleted_at is not null then 'event.deleted'
        when o.deleted_at is not null and e.deleted_at is null then 'event.restored'
        else 'event.updated' end,
      side,
      jsonb_build_object('version', e.version, 'title', e.title,
        'before', private.what_changed(to_jsonb(o), to_jsonb(e)))
    from new_rows e
    join old_rows o on o.id = e.id and o.version <> e.version;
  else
    -- A user who leaves takes the history along.
    insert into public.sync_audit (user_id, calendar_id, event_id, action, source, detail)
    select o.user_id, origin, o.id, 'event.deleted', side,
      jsonb_build_object('version', o.version + 1, 'title', o.title, 'before', to_jsonb(o))
    from old_rows o
    where exists (select from auth.users u where u.id = o.user_id);
  end if;
  return null;
end
$$;

create trigger calendar_events_history_insert after insert on public.calendar_events
  referencing new table as new_rows
  for each statement execute function private.record_event_history();
create trigger calendar_events_history_update after update on public.calendar_events
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.record_event_history();
create trigger calendar_events_history_delete after delete on public.calendar_events
  referencing old table as old_rows
  for each statement execute function private.record_event_history();

-- Puts an event back as it was at a version (by default: before its last change), walking its history
-- backwards. Runs as the caller, so row-level security decides whose events these are.
create function public.restore_event(p_event_id uuid, p_version bigint default null)
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
  if steps = 0 then
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

revoke execute on function private.what_changed(jsonb, jsonb), private.record_event_history()
  from public, anon, authenticated, service_role;
revoke execute on function public.restore_event(uuid, bigint) from public, anon;
grant execute on function public.restore_event(uuid, bigint) to authenticated, service_role;
