-- Since when a namespace is held: nothing of it is handed out, and changes of its sources lead to no
-- new iteration. Null when it is not.
alter table namespace add column held_at integer;

-- Attempts up to this number do not count against the limit of tries: somebody asked for new ones.
alter table build add column tried_before integer not null default 0;
