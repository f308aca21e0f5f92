-- What workers say about themselves with their claims, and the load that they last reported.
create table worker_profile (
    name text not null primary key,
    -- Version, tags, cores and memory, as the JSON of the claim.
    machine text not null,
    load real,
    disk_free integer,
    disk_total integer,
    seen_at integer not null
) strict, without rowid;

-- Workers that finish what they build and get nothing new.
create table worker_drain (
    name text not null primary key,
    drained_at integer not null,
    -- The name of a token.
    drained_by text not null,
    reason text
) strict, without rowid;
