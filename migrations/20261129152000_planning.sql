-- The shared libraries that a package has and links, a line each: `has 64 libfoo.so.1`.
alter table package add column sonames text not null default '';

-- The same of packages that were accepted. It outlives the packages themselves: who links a library that
-- is replaced later must be rebuilt, wherever it was built.
create table linked_package (
    architecture text not null,
    pkgname text not null,
    version text not null,
    accepted_at integer not null,
    sonames text not null,
    primary key (architecture, pkgname, version)
) strict, without rowid;

-- Members of cycles that a namespace builds first without what they need of their cycle.
create table namespace_bootstrap (
    namespace_id integer not null references namespace (id) on delete cascade,
    pkgbase text not null,
    primary key (namespace_id, pkgbase)
) strict, without rowid;

-- Whether plans expect that new versions of libraries keep their sonames.
alter table namespace add column same_sonames integer not null default 0;

-- Whether it is built without what its package needs of its own cycle, and which dependencies those are,
-- a line each.
alter table build add column bootstrap integer not null default 0;
alter table build add column without text not null default '';
-- The library by which it is linked to the last but one of its reason, where no dependency leads there.
alter table build add column library text;
