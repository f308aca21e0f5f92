-- What identifies the files of a commit; null where it was never read. A commit with the same tree as
-- another one is nothing new.
alter table source_repository add column tree_hash text;
alter table iteration_origin add column tree_hash text;
alter table build add column tree_hash text;
