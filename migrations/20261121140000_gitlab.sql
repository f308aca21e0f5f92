-- GitLab's number of the project; its path can change, this cannot. Null for a folder's repository.
alter table source_repository add column project_id integer;
-- Where workers can fetch it; null where the path says it.
alter table source_repository add column http_url text;
alter table source_repository add column ssh_url text;

create unique index source_repository_project on source_repository (project_id)
    where project_id is not null;

-- Where the rows of source_repository come from, and how far they were read.
create table source_progress (
    id integer primary key check (id = 1),
    -- The folder or group; rows of another one are worth nothing.
    origin text not null,
    -- Where the first full look goes on; null before it began and after it has ended.
    cursor text,
    -- How many of how many repositories it has seen.
    seen integer not null default 0,
    total integer,
    -- When it began and when it ended.
    began_at integer,
    finished_at integer,
    -- All changes up to here have been seen, by the clock of the origin.
    watermark integer
) strict;

-- Webhooks as they came: a sender repeats one with the same id.
create table webhook_delivery (
    id text not null primary key,
    kind text not null,
    project_id integer not null,
    -- The pipeline, job or merge request it is about.
    object_id integer,
    received_at integer not null,
    -- Null until all it leads to has happened.
    done_at integer
) strict, without rowid;

create index webhook_delivery_open on webhook_delivery (received_at) where done_at is null;
create index webhook_delivery_done on webhook_delivery (done_at) where done_at is not null;
