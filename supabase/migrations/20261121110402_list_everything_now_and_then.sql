-- When everything in a calendar was last listed: a position in the feed of changes says nothing of what
-- only time brings into the window, or of a row that came to be while nobody listened.
alter table private.calendar_feeds add column last_full_at timestamptz not null default now();
