-- What GitLab was told last, so that it is told again only what is new.
create table commit_report (
    iteration_id integer not null references iteration (id) on delete cascade,
    project_id integer not null,
    commit_hash text not null,
    -- GitLab's word for the state.
    state text not null,
    primary key (iteration_id, project_id, commit_hash)
) strict, without rowid;

create table merge_request_report (
    namespace_id integer not null references namespace (id) on delete cascade,
    project_id integer not null,
    iid integer not null,
    -- GitLab's number of the note; it is changed in place.
    note_id integer not null,
    -- Digest of its text.
    digest blob not null,
    sent_at integer not null,
    primary key (namespace_id, project_id, iid)
) strict, without rowid;
