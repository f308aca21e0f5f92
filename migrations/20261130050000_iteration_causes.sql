-- Why an iteration was created, as a JSON array; the text in `reason` is for people. Iterations of versions before
-- have the text only.
alter table iteration add column causes text not null default '[]';
