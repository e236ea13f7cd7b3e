-- A database role for `api` and `worker` that can not change the audit trail, nor the trigger that guards it.
-- Run `dataguardian migrate` as the owner of the database; then this, as the owner too, once, and again after
-- each upgrade. :role is the role's name: psql "$OWNER_URL" -v role=dataguardian_app -f docs/restricted-role.sql
-- Then give `api` and `worker` a DATABASE_URL with that role: `api` migrates at its start, which finds nothing
-- left to do.
GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"role";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"role";
REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs FROM :"role";
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON access_changes, stored_totals FROM :"role"; -- triggers write them, as the owner
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON goose_db_version FROM :"role";
