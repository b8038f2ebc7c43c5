-- Guests are told of a change only if whoever makes it asks for that, in the same statement: by
-- writing calendar_events.send_updates (all, external_only or none). The wish belongs to the version
-- that the statement makes. It is not kept in the row, which always reads null there, so no later
-- change inherits it.

alter table public.calendar_events add column send_updates text;

create table private.update_wishes (
  event_id uuid not null,
  version bigint not null,
  send_updates text not null constraint update_wishes_send_updates_check
    check (send_updates in ('all', 'external_only')),
  created_at timestamptz not null default now(),
  primary key (event_id, version)
);

create index update_wishes_created_at_idx on private.update_wishes (created_at);

alter table private.update_wishes enable row level security;
create policy "machine works on all rows" on private.update_wishes for all to calsync_service
  using (true) with check (true);
revoke all on private.update_wishes from public, anon, authenticated, service_role;
grant select, insert, update, delete on private.update_wishes to calsync_service;

-- A push that ended took the wishes of all versions up to this one along.
alter table public.event_mappings add column told_version bigint;

-- Takes the wish out of the row before the stamp compares what is left.
create function private.hear_wish() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if new.send_updates not in ('all', 'external_only', 'none') then
    perform private.refuse_event('send_updates', 'must be all, external_only or none');
  end if;
  if tg_op = 'INSERT' then
    -- An upsert that meets a row goes on as an update with these values: the wish is heard there.
    if exists (select from public.calendar_events e where e.id = new.id) then
      return new;
    end if;
    perform pg_catalog.set_config('calsync.wish', new.send_updates, true);
  elsif new.send_updates is distinct from old.send_updates then
    perform pg_catalog.set_config('calsync.wish', new.send_updates, true);
  end if;
  new.send_updates := null;
  return new;
end
$$;

create trigger calendar_events_hear_wish before insert or update on public.calendar_events
  for each row when (new.send_updates is not null) execute function private.hear_wish();

-- Puts the wish beside the version that the stamp gave; a write that changed nothing has none.
create function private.store_wish() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  wish constant text := current_setting('calsync.wish', true);
begin
  perform pg_catalog.set_config('calsync.wish', '', true);
  if wish <> 'none' and (tg_op = 'INSERT' or new.version <> old.version) then
    insert into private.update_wishes as w (event_id, version, send_updates)
    values (new.id, new.version, wish)
    on conflict (event_id, version) do update set send_updates = excluded.send_updates;
  end if;
  return new;
end
$$;

create trigger calendar_events_store_wish before insert or update on public.calendar_events
  for each row when (current_setting('calsync.wish', true) <> '')
  execute function private.store_wish();

revoke execute on function private.hear_wish(), private.store_wish()
  from public, anon, authenticated, service_role;
-- The machine's own writes meet these triggers too.
grant execute on function private.hear_wish(), private.store_wish() to calsync_service;
