-- Two last defences. A pass that would delete more than a share of a calendar pauses it until the
-- user says what was meant; an event that moves faster than people move events is parked.

alter table private.calendar_feeds
  -- What the user said about the deletions that paused the calendar; used up by the next pass.
  add column deletions text constraint calendar_feeds_deletions_check
    check (deletions in ('approved', 'refused'));

alter table public.event_mappings
  add column moves integer not null default 0,
  add column moves_since timestamptz not null default now();

-- The same remote calendar, seen through two accounts, is synced through one of them.
create function private.guard_doubled_calendar() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if new.enabled and not old.enabled and exists (
      select from public.calendars c
      where c.user_id = new.user_id and c.provider = new.provider
        and c.external_id = new.external_id and c.id <> new.id and c.enabled) then
    raise sqlstate 'PT422' using
      message = 'enabled: this calendar is synced already, through another account',
      detail = 'enabled', hint = 'Turn it off there first.';
  end if;
  return new;
end
$$;

create trigger calendars_guard_doubled before update of enabled on public.calendars
  for each row execute function private.guard_doubled_calendar();

revoke execute on function private.guard_doubled_calendar()
  from public, anon, authenticated, service_role;
