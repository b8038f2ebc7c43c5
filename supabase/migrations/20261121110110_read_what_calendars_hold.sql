-- Attachments, conferences and metadata travel from now on. What the remote copies hold of these is
-- not on record yet, so each is read before it is next written.
update public.event_mappings set stale = true where status not in ('pending', 'deleted');
