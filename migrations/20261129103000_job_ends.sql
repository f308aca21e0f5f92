-- A failure that a job reported and that would be tried again. It is decided only when GitLab says how
-- the job ended; null when nothing was reported that has to wait for that.
alter table pipeline add column reported_at integer;
alter table pipeline add column reported_kind text;
alter table pipeline add column reported_message text;
-- How long GitLab lets the job run, in seconds, as its ID token says.
alter table pipeline add column job_timeout_s integer;
-- Since when GitLab has said that it runs, by our clock, until its job has exchanged its ID token.
alter table pipeline add column running_since integer;
