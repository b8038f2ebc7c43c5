-- name: take
insert into private.job_leases as l (job, token, until)
values ($1, gen_random_uuid(), now() + make_interval(secs => $2))
on conflict (job) do update set token = excluded.token, until = excluded.until
where l.until < now()
returning token

-- name: give_back
delete from private.job_leases where job = $1 and token = $2
