-- How long earlier builds of the package took, in seconds: a quarter of them took less, a quarter took more. Null where
-- there are no earlier builds.
alter table build add column estimate_low_s integer;
alter table build add column estimate_high_s integer;

-- Older plans recorded neither a range nor whether there were earlier builds.
update build set estimate_low_s = max(estimate_s / 2, 1), estimate_high_s = estimate_s * 2
    where status in ('blocked', 'ready', 'dispatched', 'building');
