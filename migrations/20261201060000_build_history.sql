-- What earlier builds of a package say about those of a plan: the builds of a package that can have attempts, the newest
-- ones first, and the newest successful attempts.
create index build_history on build (architecture, pkgbase, id desc) where status not in ('blocked', 'reused');
create index attempt_succeeded on attempt (finished_at desc, started_at, build_id) where status = 'succeeded';
