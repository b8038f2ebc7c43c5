-- Owners read their own rows; what they may write is said; the machine's role works on all.

alter table public.calendar_connections enable row level security;
alter table public.calendars enable row level security;
alter table public.calendar_events enable row level security;
alter table public.event_mappings enable row level security;
alter table public.sync_queue enable row level security;
alter table public.sync_conflicts enable row level security;
alter table public.sync_audit enable row level security;
alter table public.sync_notifications enable row level security;
alter table private.connection_tokens enable row level security;
alter table private.oauth_states enable row level security;
alter table private.calendar_feeds enable row level security;
alter table private.watch_channels enable row level security;

create policy "owner reads own connections" on public.calendar_connections
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own calendars" on public.calendars
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner changes settings of own calendars" on public.calendars
  for update to authenticated using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));
create policy "owner reads own events" on public.calendar_events
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner adds own events" on public.calendar_events
  for insert to authenticated with check (user_id = (select auth.uid()));
create policy "owner changes own events" on public.calendar_events
  for update to authenticated using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));
create policy "owner deletes own events" on public.calendar_events
  for delete to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own mappings" on public.event_mappings
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own queue" on public.sync_queue
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own conflicts" on public.sync_conflicts
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own audit" on public.sync_audit
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner reads own notifications" on public.sync_notifications
  for select to authenticated using (user_id = (select auth.uid()));
create policy "owner marks own notifications" on public.sync_notifications
  for update to authenticated using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

do $$
declare
  tab record;
begin
  for tab in
    select n.nspname, c.relname
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and (n.nspname = 'private' or (n.nspname = 'public' and c.relname in (
      'calendar_connections', 'calendars', 'calendar_events', 'event_mappings', 'sync_queue',
      'sync_conflicts', 'sync_audit', 'sync_notifications')))
  loop
    execute format('create policy "machine works on all rows" on %I.%I for all to calsync_service
      using (true) with check (true)', tab.nspname, tab.relname);
    execute format('revoke all on %I.%I from public, anon, authenticated, service_role',
      tab.nspname, tab.relname);
    execute format('grant select, insert, update, delete on %I.%I to calsync_service',
      tab.nspname, tab.relname);
  end loop;
end
$$;

grant select, insert, update, delete on public.calendar_events to authenticated, service_role;
grant select on public.calendar_connections, public.calendars, public.event_mappings,
  public.sync_queue, public.sync_conflicts, public.sync_audit, public.sync_notifications
  to authenticated, service_role;
grant update (enabled, direction, default_target, mirror, conflict_policy) on public.calendars
  to authenticated, service_role;
grant update (read_at) on public.sync_notifications to authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;

-- Validation runs as the writer, so the writer may run it; everything else is the machine's.
grant usage on schema private to authenticated, service_role;
revoke execute on all functions in schema private from public, anon, authenticated, service_role;
grant execute on function private.origin_calendar(), private.origin_source(),
  private.refuse_event(text, text), private.is_time_zone(text),
  private.check_event(public.calendar_events) to authenticated, service_role;
grant execute on all functions in schema private to calsync_service;
revoke execute on function public.record_google_notice(text, text, text, bigint)
  from public, anon, authenticated;
grant execute on function public.record_google_notice(text, text, text, bigint)
  to service_role, calsync_service;
