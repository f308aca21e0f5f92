-- How the release of a build follows from the version that is known only when it is built, and what the
-- base repositories had of its packages when it was planned. Builds of older plans have no row.
create table build_release (
    build_id integer primary key references build (id) on delete cascade,
    -- Whether the release is raised in any case.
    is_rebuild integer not null,
    -- Whether pkgver() is likely to compute another version than .SRCINFO says.
    is_computed integer not null,
    -- Versions, as a JSON array.
    base text not null
) strict;
