-- A pass that begins late, after a kill say, must still ask about copies that were made since it was
-- opened: whatever its first page could have shown and no page did.
alter table private.calendar_feeds add column pass_listed_at timestamptz;
