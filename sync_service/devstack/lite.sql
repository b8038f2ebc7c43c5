-- The login of Supabase Lite, which serves the data API and Auth. Run as the superuser.
--
-- At its first data API request Lite grants everything on every schema that holds a table with
-- row-level security (`private` too) to anon, authenticated and service_role. It therefore gets
-- a role that may not grant: then Postgres answers those statements with a warning, and the
-- migrations' own grants stay the whole truth, as on a hosted project. A warning instead of an
-- error takes some privilege on every object, so it gets the most harmless ones.

do $$
begin
  if not exists (select from pg_roles where rolname = 'supabase_lite') then
    create role supabase_lite login;
  end if;
  execute format('grant create on database %I to supabase_lite', current_database());
end
$$;

grant anon, authenticated, service_role to supabase_lite with inherit false, set true;
-- Lite makes and owns the tables of auth and supabase_migrations; postgres may use them.
grant supabase_auth_admin to supabase_lite;
grant supabase_lite to postgres;

alter default privileges for role postgres grant references on tables to supabase_lite;
alter default privileges for role postgres grant usage on sequences to supabase_lite;
alter default privileges for role postgres grant usage on schemas to supabase_lite;
