-- What to do about a failure, which was a line of its message that begins with `hint: `.
alter table attempt add column hint text;
alter table build add column hint text;
alter table event add column hint text;
alter table pipeline add column reported_hint text;

update attempt set
    hint = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(substr(text, 7), '; ')
        from (select text from line where number > 0 and text glob 'hint: *' order by number)
    ),
    message = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(text, char(10))
        from (select text from line where number > 0 and text not glob 'hint: *' order by number)
    )
where message glob '*' || char(10) || 'hint: *';

update build set
    hint = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(substr(text, 7), '; ')
        from (select text from line where number > 0 and text glob 'hint: *' order by number)
    ),
    message = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(text, char(10))
        from (select text from line where number > 0 and text not glob 'hint: *' order by number)
    )
where message glob '*' || char(10) || 'hint: *';

update event set
    hint = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(substr(text, 7), '; ')
        from (select text from line where number > 0 and text glob 'hint: *' order by number)
    ),
    message = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(text, char(10))
        from (select text from line where number > 0 and text not glob 'hint: *' order by number)
    )
where (kind glob 'attempt.*' or kind glob 'build.*') and message glob '*' || char(10) || 'hint: *';

update pipeline set
    reported_hint = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', reported_message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(substr(text, 7), '; ')
        from (select text from line where number > 0 and text glob 'hint: *' order by number)
    ),
    reported_message = (
        with recursive line (number, text, rest) as (
            select 0, 'before the first', reported_message || char(10)
            union all
            select number + 1, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
            from line where rest != ''
        )
        select group_concat(text, char(10))
        from (select text from line where number > 0 and text not glob 'hint: *' order by number)
    )
where reported_message glob '*' || char(10) || 'hint: *';

-- Nothing writes it.
alter table webhook_delivery drop column object_id;
