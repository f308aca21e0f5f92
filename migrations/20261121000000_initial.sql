-- Times are milliseconds since the Unix epoch. States are the texts of the model crate's enums.

-- Content-addressed store of .SRCINFO texts. `parsed` is the planner's reading of `text`, made by
-- the parser of that number; a newer parser reads the text again.
create table srcinfo (
    id integer primary key,
    sha256 text not null unique,
    parser integer not null,
    parsed text not null,
    -- Last, and in a table with row ids: loading the index reads all the others and never this one.
    text text not null
) strict;

create table source_repository (
    id integer primary key,
    path text not null unique,
    pkgbase text,
    branch text,
    commit_hash text,
    -- Seconds since the Unix epoch.
    commit_time integer,
    srcinfo_sha256 text references srcinfo (sha256),
    problem text,
    changed_at integer not null
) strict;

-- Two usable repositories never claim one pkgbase.
create unique index source_repository_pkgbase on source_repository (pkgbase) where problem is null;

create table token (
    id integer primary key,
    name text not null,
    scope text not null,
    hash blob not null unique,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict;

create table namespace (
    id integer primary key,
    name text not null unique,
    scope text not null,
    max_builds integer not null,
    bump integer not null,
    -- How long changes of default branches are gathered before a new iteration is made, in seconds;
    -- null: none is made for them.
    follow_default_s integer,
    created_at integer not null
) strict;

-- Patterns of pkgbases that are rebuilt in any case, or in none.
create table namespace_pattern (
    namespace_id integer not null references namespace (id) on delete cascade,
    kind text not null check (kind in ('include', 'exclude')),
    pattern text not null,
    primary key (namespace_id, kind, pattern)
) strict, without rowid;

create table namespace_origin (
    namespace_id integer not null references namespace (id) on delete cascade,
    position integer not null,
    pkgbase text not null,
    git_ref text not null,
    primary key (namespace_id, position)
) strict, without rowid;

create table iteration (
    -- Never used again, so that what is remembered about one cannot be taken for another's.
    id integer primary key autoincrement,
    namespace_id integer not null references namespace (id) on delete cascade,
    number integer not null,
    status text not null,
    reason text not null,
    -- The number of the iteration that took its place; it dispatches nothing more.
    superseded_by integer,
    created_at integer not null,
    finished_at integer,
    unique (namespace_id, number)
) strict;

-- What differs from the iteration before.
create table iteration_change (
    iteration_id integer not null references iteration (id) on delete cascade,
    position integer not null,
    architecture text not null,
    pkgbase text not null,
    stage integer not null,
    kind text not null check (kind in ('added', 'removed', 'changed', 'rewired')),
    from_commit text,
    to_commit text,
    primary key (iteration_id, position)
) strict, without rowid;

create table iteration_origin (
    iteration_id integer not null references iteration (id) on delete cascade,
    position integer not null,
    pkgbase text not null,
    git_ref text not null,
    commit_hash text not null,
    primary key (iteration_id, position)
) strict, without rowid;

-- The base repository databases an iteration was planned with: the snapshot that a namespace keeps
-- across its iterations.
create table iteration_base (
    iteration_id integer not null references iteration (id) on delete cascade,
    architecture text not null,
    repository text not null,
    digest text,
    problem text,
    primary key (iteration_id, architecture, repository)
) strict, without rowid;

create table plan_note (
    iteration_id integer not null references iteration (id) on delete cascade,
    position integer not null,
    architecture text not null,
    kind text not null,
    text text not null,
    primary key (iteration_id, position)
) strict, without rowid;

create table build (
    id integer primary key,
    iteration_id integer not null references iteration (id) on delete cascade,
    architecture text not null,
    pkgbase text not null,
    stage integer not null,
    level integer not null,
    -- Builds of an architecture in a valid order.
    position integer not null,
    commit_hash text not null,
    -- Seconds since the Unix epoch; becomes SOURCE_DATE_EPOCH.
    commit_time integer not null,
    clone_url text not null,
    srcinfo_sha256 text not null references srcinfo (sha256),
    version text not null,
    -- The release to write into the PKGBUILD; null keeps its own.
    pkgrel text,
    -- The chain of pkgbases from an origin to this one, separated by spaces.
    reason text not null,
    estimate_s integer not null,
    -- Seconds of work that wait for it, itself included.
    priority_s integer not null,
    status text not null,
    -- How many of its needs have no packages yet. Ready when none.
    missing integer not null,
    -- Commit, architecture, base snapshot and the input hashes of what it needs: builds with the same
    -- hash have the same packages. Null when a part of it is not known.
    input_hash text,
    -- Takes its packages from that build of another architecture instead of being built: all of
    -- them are of architecture `any`.
    shared_build_id integer references build (id) on delete cascade,
    -- Not handed out before this time: the pause after an infrastructure failure.
    not_before integer,
    -- The attempt whose packages are this build's. Set when the outcome is accepted; the status
    -- follows when the repository lists them.
    packages_attempt_id text references attempt (id),
    message text,
    finished_at integer,
    unique (iteration_id, architecture, pkgbase, stage)
) strict;

create index build_ready on build (architecture, iteration_id, priority_s desc, id)
    where status = 'ready';
create index build_paused on build (not_before) where status = 'ready' and not_before is not null;
create index build_active on build (iteration_id) where status in ('dispatched', 'building');
-- What can still move; an iteration with none of them is over.
create index build_moving on build (iteration_id)
    where status in ('ready', 'dispatched', 'building')
        or (status = 'blocked' and packages_attempt_id is not null);
create index build_packages on build (packages_attempt_id) where packages_attempt_id is not null;
create index build_shared on build (shared_build_id) where shared_build_id is not null;
create index build_input_hash on build (input_hash) where status in ('built', 'reused');
create index build_srcinfo on build (srcinfo_sha256);

create table build_edge (
    build_id integer not null references build (id) on delete cascade,
    needs_id integer not null references build (id) on delete cascade,
    kind text not null,
    primary key (build_id, needs_id)
) strict, without rowid;

create index build_edge_needs on build_edge (needs_id);

-- The packages a build has to produce.
create table build_output (
    build_id integer not null references build (id) on delete cascade,
    pkgname text not null,
    architecture text not null,
    primary key (build_id, pkgname)
) strict, without rowid;

create table attempt (
    id text not null primary key,
    build_id integer not null references build (id) on delete cascade,
    number integer not null,
    -- Made by the worker: repeating a claim returns the same attempt.
    claim text not null unique,
    worker text not null,
    token_id integer not null references token (id),
    status text not null,
    failure text,
    message text,
    lease_expires_at integer not null,
    cancel_requested integer not null default 0,
    created_at integer not null,
    started_at integer,
    finished_at integer,
    unique (build_id, number)
) strict, without rowid;

-- No build is ever worked on twice at the same time.
create unique index attempt_active on attempt (build_id) where status in ('queued', 'running');
create index attempt_lease on attempt (lease_expires_at) where status in ('queued', 'running');

create table package (
    attempt_id text not null references attempt (id) on delete cascade,
    file_name text not null,
    pkgname text not null,
    version text not null,
    architecture text not null,
    size integer not null,
    sha256 text not null,
    -- Its entries in the repository database: `desc` and `files`.
    desc_entry text not null,
    files_entry text not null,
    primary key (attempt_id, file_name)
) strict, without rowid;

create index package_file_name on package (file_name);

create table event (
    id integer primary key autoincrement,
    namespace_id integer not null references namespace (id) on delete cascade,
    iteration_id integer references iteration (id) on delete cascade,
    build_id integer references build (id) on delete cascade,
    attempt_id text,
    kind text not null,
    message text,
    at integer not null
) strict;

create index event_namespace on event (namespace_id, id);

create table worker (
    name text not null,
    architecture text not null,
    -- How many builds it works on at the same time.
    jobs integer not null,
    last_seen_at integer not null,
    primary key (name, architecture)
) strict, without rowid;
