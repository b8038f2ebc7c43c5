-- The durable end of a webhook. The edge function and the HTTP route both call it, so one rule decides.
-- 'refused' for unknown channels, wrong secrets and wrong resources alike; 'ignored' for channels
-- that we stopped or that ran out; 'recorded' once the pull is in the queue.
create function public.record_google_notice(p_channel_id text, p_secret text, p_resource_id text,
  p_message_number bigint)
returns text
language plpgsql security definer set search_path = ''
as $$
declare
  channel private.watch_channels;
begin
  select * into channel from private.watch_channels w
  where w.id = p_channel_id
    and w.secret_hash = pg_catalog.sha256(pg_catalog.convert_to(p_secret, 'UTF8'))
    and (w.resource_id is null or w.resource_id = p_resource_id)
  for update;
  if not found then
    return 'refused';
  end if;
  if channel.status = 'stopped' or channel.expires_at < now() - interval '1 hour' then
    return 'ignored';
  end if;
  update private.watch_channels w
  set last_message_at = now(),
      last_message_number = greatest(w.last_message_number, p_message_number),
      resource_id = coalesce(w.resource_id, p_resource_id)
  where w.id = channel.id;
  perform private.enqueue_pull(channel.calendar_id, 'webhook');
  return 'recorded';
end
$$;
