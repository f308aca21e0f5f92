-- What was served under the name of a namespace, of iterations that were deleted. A later namespace of
-- that name must not serve other bytes under the same address: clients keep packages for ever.
create table retired_package (
    namespace text not null,
    architecture text not null,
    file_name text not null,
    sha256 text not null,
    -- The highest number of an iteration that served it.
    iteration integer not null,
    pkgname text not null,
    version text not null,
    stage integer not null,
    primary key (namespace, architecture, file_name, sha256)
) strict, without rowid;
