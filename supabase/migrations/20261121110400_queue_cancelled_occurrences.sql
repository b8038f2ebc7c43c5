-- A deleted row that stands for an occurrence is news: the calendars of its series learn that it does
-- not take place, though they hold no copy of it on record.
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
