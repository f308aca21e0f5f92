-- Since when nothing was seen to refer to a text. It is deleted some time after that.
alter table srcinfo add column unused_since integer;

create index srcinfo_unused on srcinfo (unused_since) where unused_since is not null;
create index source_repository_srcinfo on source_repository (srcinfo_sha256);
