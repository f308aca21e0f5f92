-- Since when the build could be dispatched, the last time that it became ready: after the pause that follows a failure.
alter table build add column ready_at integer;

update build set ready_at = max(coalesce(not_before, 0), cast(unixepoch('subsec') * 1000 as integer))
    where status = 'ready';
