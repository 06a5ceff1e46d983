-- The roles a Supabase project has before the first migration, for tests on plain Postgres only.
-- A migration never makes them: on Supabase they are there, elsewhere nobody may need them.
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'authenticator';
grant anon, authenticated, service_role to authenticator;

-- As the Data API sets them: service_role has none of its own and so inherits the eight seconds of
-- authenticator, which is what our functions have to live with.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

create database rag;
