-- name: add
insert into public.sync_usage as u (day, connection_id, user_id, units)
select (now() at time zone 'UTC')::date, k.id, k.user_id, spent.units
from unnest($1::uuid[], $2::bigint[]) as spent (connection_id, units)
join public.calendar_connections k on k.id = spent.connection_id
order by k.id
on conflict (day, connection_id) do update set units = u.units + excluded.units

-- name: today
select k.provider, u.day::text, sum(u.units)::bigint
from public.sync_usage u
join public.calendar_connections k on k.id = u.connection_id
where u.day = (now() at time zone 'UTC')::date
group by k.provider, u.day

-- name: purge
delete from public.sync_usage where day < (now() at time zone 'UTC')::date - $1::integer
