-- A user's links to provider accounts, the calendars seen through them, and what is secret about both.

create table public.calendar_connections (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null constraint calendar_connections_provider_check
    check (provider in ('google', 'notion')),
  account_id text not null,
  account_email text,
  scopes text[] not null default '{}',
  status text not null default 'active' constraint calendar_connections_status_check
    check (status in ('active', 'reconnect_needed', 'disconnected')),
  preview boolean not null default false,
  last_error jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint calendar_connections_account_key unique (user_id, provider, account_id)
);

create table public.calendars (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  connection_id uuid not null references public.calendar_connections (id) on delete cascade,
  provider text not null,
  external_id text not null,
  name text not null,
  time_zone text,
  color text,
  access_role text not null default 'reader',
  is_primary boolean not null default false,
  unsyncable_reason text,
  enabled boolean not null default false,
  direction text not null default 'two_way' constraint calendars_direction_check
    check (direction in ('two_way', 'pull', 'push')),
  default_target boolean not null default false,
  mirror text not null default 'own' constraint calendars_mirror_check
    check (mirror in ('own', 'all')),
  conflict_policy text not null default 'last_write_wins' constraint calendars_conflict_policy_check
    check (conflict_policy in ('last_write_wins', 'app_wins', 'provider_wins', 'manual')),
  state text not null default 'connecting' constraint calendars_state_check
    check (state in ('connecting', 'importing', 'catching_up', 'healthy', 'delayed', 'paused',
                     'action_required', 'disconnected')),
  state_reason text,
  preview jsonb,
  full_sync_done integer not null default 0,
  full_sync_total integer,
  last_synced_at timestamptz,
  last_error jsonb,
  channel_expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint calendars_external_id_key unique (connection_id, external_id),
  constraint calendars_owner_key unique (id, user_id)
);

create index calendars_user_id_idx on public.calendars (user_id);
create unique index calendars_default_target_key on public.calendars (user_id) where default_target;

-- Sealed by the service (AES-256-GCM, key id in front); the key never reaches the database.
create table private.connection_tokens (
  connection_id uuid primary key references public.calendar_connections (id) on delete cascade,
  access_token text constraint connection_tokens_access_token_sealed
    check (access_token ~ '^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$'),
  refresh_token text constraint connection_tokens_refresh_token_sealed
    check (refresh_token ~ '^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$'),
  expires_at timestamptz,
  updated_at timestamptz not null default now()
);

create table private.oauth_states (
  state_hash bytea primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null,
  code_verifier text not null constraint oauth_states_code_verifier_sealed
    check (code_verifier ~ '^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$'),
  return_to text,
  preview boolean not null default false,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);

create index oauth_states_user_id_idx on private.oauth_states (user_id);

-- Our position in a calendar's change feed, and the full sync under way, if any.
create table private.calendar_feeds (
  calendar_id uuid primary key references public.calendars (id) on delete cascade,
  cursor text,
  cursor_key text,
  wants_full boolean not null default true,
  pass_id uuid,
  pass_page text,
  pass_started_at timestamptz,
  last_pull_at timestamptz,
  -- The provider opens no push channel for this calendar; it is asked again after this.
  no_push_until timestamptz,
  updated_at timestamptz not null default now()
);

-- A push subscription. The row exists before the provider is asked, so its first message is known.
create table private.watch_channels (
  id text primary key,
  calendar_id uuid not null references public.calendars (id) on delete cascade,
  secret_hash bytea not null,
  resource_id text,
  status text not null default 'opening' constraint watch_channels_status_check
    check (status in ('opening', 'open', 'stopped')),
  expires_at timestamptz,
  last_message_number bigint,
  last_message_at timestamptz,
  created_at timestamptz not null default now()
);

create index watch_channels_calendar_id_idx on private.watch_channels (calendar_id);
