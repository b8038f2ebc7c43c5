-- The machine's own role and the schema that the data API does not expose.
-- On a hosted project give the role a login: alter role calsync_service login password '…';

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'calsync_service') then
    create role calsync_service nologin;
  end if;
end
$$;

create schema if not exists private;
revoke all on schema private from public;
grant usage on schema private to calsync_service;
grant usage on schema public to calsync_service;

-- Which calendar a machine transaction brought its changes from (null for everybody else). The
-- worker says so with set_config('calsync.origin', …, true); callers of the data API cannot.
create function private.origin_calendar() returns uuid
language sql stable set search_path = ''
as $$
  select case
    when current_setting('role', true) in ('anon', 'authenticated') then null
    else nullif(current_setting('calsync.origin', true), '')::uuid
  end
$$;

-- The provider that the changes of a machine transaction came from ('google', 'notion'), else null.
create function private.origin_source() returns text
language sql stable set search_path = ''
as $$
  select case
    when current_setting('role', true) in ('anon', 'authenticated') then null
    else nullif(current_setting('calsync.source', true), '')
  end
$$;
