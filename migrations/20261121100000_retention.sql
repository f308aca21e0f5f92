-- What removed iterations had: its versions are never given to other packages again.
create table past_package (
    namespace_id integer not null references namespace (id) on delete cascade,
    pkgname text not null,
    version text not null,
    stage integer not null,
    primary key (namespace_id, pkgname, version, stage)
) strict, without rowid;

-- Removing a build or an iteration looks for its events.
create index event_build on event (build_id);
create index event_iteration on event (iteration_id);
