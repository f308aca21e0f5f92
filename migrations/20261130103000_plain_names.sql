-- Names of tables and columns that say what they hold. The data stays as it is.
alter table past_package rename to former_package;
alter table pipeline rename column asked_at to requested_at;
alter table pipeline rename column over_at to ended_at;
alter table orphan_pipeline rename column asked_at to requested_at;
alter table webhook_delivery rename column done_at to processed_at;
alter table build rename column tried_before to attempts_before_retry;
alter table build rename column missing to missing_dependencies;
