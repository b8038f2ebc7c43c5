-- What the user must be able to see: conflicts with every version, what was done, what needs them.

create table public.sync_conflicts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  event_id uuid not null,
  calendar_id uuid not null references public.calendars (id) on delete cascade,
  fields text[] not null,
  base jsonb,
  local jsonb,
  remote jsonb,
  policy text not null,
  winner text,
  status text not null default 'open' constraint sync_conflicts_status_check
    check (status in ('open', 'resolved')),
  resolution text constraint sync_conflicts_resolution_check
    check (resolution in ('local', 'remote', 'merge')),
  created_at timestamptz not null default now(),
  resolved_at timestamptz
);

create index sync_conflicts_user_idx on public.sync_conflicts (user_id, created_at desc, id);
create index sync_conflicts_event_idx on public.sync_conflicts (event_id);
create index sync_conflicts_calendar_id_idx on public.sync_conflicts (calendar_id);

create table public.sync_audit (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  connection_id uuid,
  calendar_id uuid,
  event_id uuid,
  action text not null,
  source text not null,
  detail jsonb not null default '{}',
  duration_ms double precision,
  created_at timestamptz not null default now()
);

create index sync_audit_user_idx on public.sync_audit (user_id, id desc);
create index sync_audit_event_idx on public.sync_audit (event_id, id) where event_id is not null;
create index sync_audit_created_idx on public.sync_audit (created_at);

create table public.sync_notifications (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  kind text not null,
  -- What it is about: while unread, a second notice with the same cause only raises the count.
  cause text not null,
  message text not null,
  connection_id uuid references public.calendar_connections (id) on delete cascade,
  calendar_id uuid references public.calendars (id) on delete cascade,
  event_id uuid,
  occurrences integer not null default 1,
  read_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create unique index sync_notifications_cause_key on public.sync_notifications (user_id, cause)
  where read_at is null;
create index sync_notifications_user_idx on public.sync_notifications (user_id, created_at desc, id);
create index sync_notifications_connection_id_idx on public.sync_notifications (connection_id);
create index sync_notifications_calendar_id_idx on public.sync_notifications (calendar_id);

create function private.guard_notification() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if current_setting('role', true) in ('anon', 'authenticated')
     and to_jsonb(new) - 'read_at' <> to_jsonb(old) - 'read_at' then
    raise sqlstate 'PT403' using message = 'A notification can only be marked as read.',
      hint = 'read_at';
  end if;
  return new;
end
$$;

create trigger sync_notifications_guard before update on public.sync_notifications
  for each row execute function private.guard_notification();

-- One notice per cause, not per retry.
create function private.notify_user(p_user_id uuid, p_kind text, p_cause text, p_message text,
  p_connection_id uuid default null, p_calendar_id uuid default null, p_event_id uuid default null)
returns void
language sql set search_path = ''
as $$
  insert into public.sync_notifications as n
    (user_id, kind, cause, message, connection_id, calendar_id, event_id)
  values (p_user_id, p_kind, p_cause, p_message, p_connection_id, p_calendar_id, p_event_id)
  on conflict (user_id, cause) where read_at is null
  do update set message = excluded.message, occurrences = n.occurrences + 1, updated_at = now()
$$;
