-- What each connection's calls cost in the provider's units, by day (UTC).
create table public.sync_usage (
  day date not null,
  connection_id uuid not null references public.calendar_connections (id) on delete cascade,
  user_id uuid not null,
  units bigint not null,
  primary key (day, connection_id)
);

create index sync_usage_connection_id_idx on public.sync_usage (connection_id);
create index sync_usage_user_id_idx on public.sync_usage (user_id);

alter table public.sync_usage enable row level security;
create policy "owner reads own usage" on public.sync_usage
  for select to authenticated using (user_id = (select auth.uid()));
create policy "machine works on all rows" on public.sync_usage
  for all to calsync_service using (true) with check (true);
revoke all on public.sync_usage from public, anon, authenticated, service_role;
grant select on public.sync_usage to authenticated, service_role;
grant select, insert, update, delete on public.sync_usage to calsync_service;
