package postgres

import "context"

// keepOut lets nobody but the user, and superusers, connect to a database: what grants its content restores may
// be to others. carryOver, or letIn, gives it the privileges of the one that it replaces.
func (a *admin) keepOut(ctx context.Context, database string) error {
	_, err := a.Exec(ctx, "REVOKE CONNECT ON DATABASE "+quoted(database)+" FROM PUBLIC")
	return classify("keep others out of database "+quoted(database), err)
}

// letIn gives everybody what a new database gives them.
func letIn(database string) string {
	return "GRANT CONNECT ON DATABASE " + quoted(database) + " TO PUBLIC"
}
