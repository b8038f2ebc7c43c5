-- change_series takes its JSON as text, which every data API hands over alike, and passes on whether
-- guests are to be told. What it does is as before.

drop function public.change_series(uuid, jsonb, jsonb, jsonb);

-- Changes a series and its exceptions in one transaction, if they are still at the given versions
-- ({id: version} of all of them, deleted exceptions included), else nothing. First p_new is
-- inserted, then each of p_changes is made in its order: {"id": …} and the columns to set. Runs as
-- the caller, so row-level security decides whose events these are. Answers p_new, or else the series.
create function public.change_series(p_series_id uuid, p_versions text, p_new text, p_changes text)
returns setof public.calendar_events
language plpgsql set search_path = ''
as $$
declare
  wanted constant jsonb := p_new::jsonb;
  found_versions jsonb;
  change jsonb;
begin
  perform from public.calendar_events e
  where e.id = p_series_id or e.series_id = p_series_id
  order by e.id for update;
  select pg_catalog.jsonb_object_agg(e.id, e.version) into found_versions
  from public.calendar_events e where e.id = p_series_id or e.series_id = p_series_id;
  if found_versions is distinct from p_versions::jsonb then
    raise sqlstate 'PT409' using message = 'The series was changed meanwhile; nothing was changed.';
  end if;
  if pg_catalog.jsonb_typeof(wanted) = 'object' then
    insert into public.calendar_events (id, user_id, calendar_id, title, description, location,
      notes, start_time, end_time, all_day, time_zone, recurrence, series_id, original_start_time,
      status, visibility, transparency, attendees, reminders, attachments, conference, color, kind,
      metadata, send_updates)
    select n.id, m.user_id, n.calendar_id, n.title, n.description, n.location, n.notes,
      n.start_time, n.end_time, n.all_day, n.time_zone, n.recurrence, n.series_id,
      n.original_start_time, n.status, n.visibility, n.transparency, n.attendees, n.reminders,
      n.attachments, n.conference, n.color, n.kind, n.metadata, n.send_updates
    from public.calendar_events m
    cross join lateral pg_catalog.jsonb_populate_record(null::public.calendar_events, wanted) as n
    where m.id = p_series_id;
  end if;
  for change in select c.value from pg_catalog.jsonb_array_elements(p_changes::jsonb) as c loop
    update public.calendar_events e
    set calendar_id = n.calendar_id, title = n.title, description = n.description,
      location = n.location, notes = n.notes, start_time = n.start_time, end_time = n.end_time,
      all_day = n.all_day, time_zone = n.time_zone, recurrence = n.recurrence,
      series_id = n.series_id, original_start_time = n.original_start_time, status = n.status,
      visibility = n.visibility, transparency = n.transparency, attendees = n.attendees,
      reminders = n.reminders, attachments = n.attachments, conference = n.conference,
      color = n.color, kind = n.kind, metadata = n.metadata, deleted_at = n.deleted_at,
      send_updates = n.send_updates
    from public.calendar_events o
    cross join lateral pg_catalog.jsonb_populate_record(o, change) as n
    where o.id = (change ->> 'id')::uuid and e.id = o.id;
  end loop;
  return query select e.* from public.calendar_events e
    where e.id = coalesce((wanted ->> 'id')::uuid, p_series_id);
end
$$;

revoke execute on function public.change_series(uuid, text, text, text) from public, anon;
grant execute on function public.change_series(uuid, text, text, text)
  to authenticated, service_role;
