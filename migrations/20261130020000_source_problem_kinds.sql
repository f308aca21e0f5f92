-- What kind of problem a repository has; the text next to it is for people.
alter table source_repository add column problem_kind text;

-- The texts of versions before. What is read as another kind than it is gets it at the next poll that reads it.
update source_repository set problem_kind = case
        when problem = 'the project is archived' then 'archived'
        when problem like '%is claimed by the repository%' then 'claimed'
        when problem like 'it was at ''%'' and has moved' then 'moved'
        when problem like '.SRCINFO says pkgbase %' then 'misnamed'
        when problem in ('the project has no commits', 'the default branch has no commits') then 'empty'
        when problem like 'the default branch ''%'' does not exist;%' then 'no-default-branch'
        when problem like 'HEAD names the branch ''%'', which does not exist;%' then 'no-default-branch'
        when problem = 'there is no .SRCINFO in it' then 'no-srcinfo'
        when problem like '.SRCINFO%' then 'invalid-srcinfo'
        else 'unreadable'
    end
    where problem is not null;
