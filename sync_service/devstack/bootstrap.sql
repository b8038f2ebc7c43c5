-- What a hosted Supabase project brings before its first migration: roles and the auth schema.
-- Run as the superuser, as often as one likes.

do $$
declare
  missing record;
begin
  for missing in
    select * from (values
      ('postgres', 'login createdb createrole replication bypassrls'),
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'),
      ('authenticator', 'login noinherit'),
      ('supabase_auth_admin', 'nologin noinherit createrole')
    ) as wanted (name, attributes)
    where not exists (select from pg_roles where rolname = wanted.name)
  loop
    execute format('create role %I %s', missing.name, missing.attributes);
  end loop;
  -- The database and the right to hand out the data API's roles belong to postgres, which is
  -- not a superuser: what needs one fails here as it would on a hosted project.
  execute format('alter database %I owner to postgres', current_database());
end
$$;

grant anon, authenticated, service_role to postgres with admin option;
grant anon, authenticated, service_role to authenticator;

create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists extensions authorization postgres;
grant usage on schema auth, extensions to anon, authenticated, service_role;
grant usage, create on schema auth to postgres;

-- The machine's own login. The migrations create the role where nobody did before.
do $$
begin
  if not exists (select from pg_roles where rolname = 'calsync_service') then
    set local role postgres;
    create role calsync_service nologin;
    reset role;
  end if;
end
$$;
