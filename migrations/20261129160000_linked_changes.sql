-- How often what packages of an architecture link has changed: plans keep what they know of it until then.
create table linked_change (
    architecture text primary key,
    changes integer not null
) strict, without rowid;

-- The versions that a namespace has had of a package, whichever source package made it.
create index package_pkgname on package (pkgname);

-- Where the plan of a namespace stands, among its many events.
create index event_planning on event (namespace_id, id)
    where kind in ('iteration.planned', 'iteration.refused', 'iteration.current');
