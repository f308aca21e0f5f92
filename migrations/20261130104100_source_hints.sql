-- What to do about a problem of a repository, which was a part of two texts.
alter table source_repository add column hint text;

update source_repository set
    hint = 'choose another default branch' ||
        substr(problem, instr(problem, '; choose another one in ') + length('; choose another one')),
    problem = substr(problem, 1, instr(problem, '; choose another one in ') - 1)
where instr(problem, '; choose another one in ') > 0;

update source_repository set
    hint = 'run ' || substr(problem, instr(problem, '. Fix it with `git ') + length('. Fix it with ')),
    problem = substr(problem, 1, instr(problem, '. Fix it with `git ') - 1)
where instr(problem, '. Fix it with `git ') > 0;

-- The next read of a repository adds the hints of all other problems, but leaves these rows unchanged.
update source_repository set hint = 'remove one of the two repositories, or correct the pkgbase of one'
where problem_kind = 'claimed';

update source_repository set hint = 'rename the repository to `' || pkgbase || '`, or correct its pkgbase'
where problem_kind = 'misnamed' and project_id is null;
