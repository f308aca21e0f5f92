-- Why an iteration was refused, for programs: the kind of its problem. Earlier refusals have only the message.
alter table event add column problem_kind text;
