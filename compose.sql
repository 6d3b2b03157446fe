-- Run once, on the empty database that compose.yaml brings: two roles that are no superusers.
-- On a database of your own, `init` grants the same.
\getenv writer_password WRITER_PASSWORD
\getenv reader_password READER_PASSWORD
create role rollup_writer login password :'writer_password';
create role rollup_reader login password :'reader_password';
-- `demo` and `load` create the source tables.
grant create on schema public to rollup_writer;
create schema analytics authorization rollup_writer;
grant usage on schema analytics to rollup_reader;
alter default privileges for role rollup_writer in schema analytics
grant select on tables to rollup_reader;
