-- The tag that a worker must have to get the build; null: any worker.
alter table build add column tag text;
-- How much memory the build could use, in MiB, where it was killed for exceeding it: it needs more.
alter table build add column exceeded_memory_mib integer;

drop index build_ready;
create index build_ready on build (architecture, iteration_id, tag, priority_s desc, id)
    where status = 'ready';

-- The same, for later builds of a package.
create table memory_need (
    architecture text not null,
    pkgbase text not null,
    exceeded_mib integer not null,
    learned_at integer not null,
    primary key (architecture, pkgbase)
) strict, without rowid;
