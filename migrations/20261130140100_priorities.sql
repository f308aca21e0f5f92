alter table namespace add column priority text not null default 'normal'
    check (priority in ('low', 'normal', 'high', 'urgent'));

-- How long attempts ran, by the hour in which they ended: what fair shares are computed from. It outlives the
-- namespaces, so that deleting one changes no share.
create table work (
    -- Hours since the Unix epoch.
    hour integer not null,
    architecture text not null,
    -- The name of the token that created the namespace; empty where it is not known.
    person text not null,
    namespace text not null,
    -- Milliseconds.
    duration integer not null,
    primary key (hour, architecture, person, namespace)
) strict, without rowid;
