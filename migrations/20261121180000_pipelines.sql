-- Attempts that run as pipelines of a GitLab. Dates are milliseconds since the Unix epoch.
create table pipeline (
    attempt_id text not null primary key references attempt (id) on delete cascade,
    -- The address of the GitLab: its numbers mean nothing to another one.
    gitlab text not null,
    project_id integer not null,
    -- The branch or tag it runs on, and the head it has to have there.
    git_ref text not null,
    commit_hash text not null,
    -- When GitLab was last asked to create it: from then on it may exist, whatever was answered.
    asked_at integer,
    -- GitLab's number of it; null until that is known.
    pipeline_id integer,
    url text,
    -- GitLab's word for where it stands.
    status text,
    -- The job that exchanged its ID token.
    job_id integer,
    cancel_sent_at integer,
    -- Since when nothing more is to be heard of it.
    over_at integer
) strict, without rowid;

create index pipeline_open on pipeline (project_id) where over_at is null;
create index pipeline_number on pipeline (project_id, pipeline_id) where pipeline_id is not null;

-- ID tokens that were exchanged, until they expire: each is good for one exchange.
create table id_token_use (
    jti text not null primary key,
    attempt_id text not null references attempt (id) on delete cascade,
    -- Digest of the token it was exchanged for: the same exchange may be repeated.
    token_hash blob not null,
    expires_at integer not null
) strict, without rowid;

create index id_token_use_expiry on id_token_use (expires_at);
create index id_token_use_attempt on id_token_use (attempt_id);

-- The token of a pipeline's attempt is good for nothing else.
create trigger attempt_token after delete on attempt begin
    delete from token where id = old.token_id and scope = 'attempt';
end;

-- Pipelines whose attempts were removed, until GitLab was told to cancel them.
create table orphan_pipeline (
    attempt_id text not null primary key,
    project_id integer not null,
    pipeline_id integer,
    asked_at integer not null
) strict, without rowid;

create trigger pipeline_orphaned before delete on pipeline
when old.over_at is null and old.asked_at is not null begin
    insert into orphan_pipeline (attempt_id, project_id, pipeline_id, asked_at)
    values (old.attempt_id, old.project_id, old.pipeline_id, old.asked_at);
end;
