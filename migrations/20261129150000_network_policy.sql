-- What the builds of a namespace reach of the network. Those of earlier servers fetched their sources.
alter table namespace add column network text not null default 'sources'
    check (network in ('none', 'sources', 'prepare'));
