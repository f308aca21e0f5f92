-- Names of the tokens with which people act: a name outlives its token. Null for what happened before, and for what
-- the server does by itself.
alter table namespace add column created_by text;
alter table namespace add column held_by text;
alter table event add column actor text;

create index namespace_created_by on namespace (created_by, id);

-- What people did, and how rebuilds ended. It outlives the namespaces that it names.
create table activity (
    id integer primary key autoincrement,
    kind text not null,
    -- The name of a token; null for the server.
    actor text,
    namespace text,
    -- The number of an iteration.
    iteration integer,
    worker text,
    message text,
    at integer not null
) strict;

create index activity_actor on activity (actor, id) where actor is not null;
create index activity_namespace on activity (namespace, id) where namespace is not null;
