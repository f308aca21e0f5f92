-- Where attempts were made whose iteration is gone, while builds of other iterations keep their
-- packages and log.
create table attempt_origin (
    attempt_id text not null primary key references attempt (id) on delete cascade,
    -- The namespace, and when it was created: a later one can have its name. Null when nobody noted it.
    namespace text,
    namespace_created_at integer,
    iteration integer,
    architecture text not null,
    stage integer not null,
    -- The attempt's number at the build that it was made for.
    number integer not null
) strict, without rowid;

-- What was kept so far: an attempt at a reused build made the packages of another one.
insert into attempt_origin (attempt_id, architecture, stage, number)
    select attempt.id, build.architecture, build.stage, attempt.number
    from attempt join build on build.id = attempt.build_id
    where build.status = 'reused' and build.packages_attempt_id = attempt.id;
