package postgres

import (
	"context"
	"fmt"
)

// tuneForLoading gives every session of a database that is being loaded settings that make loading
// faster; they end before the database is anybody's. Set on the database, they reach pg_restore too,
// also through a pooler that takes no settings from its clients.
//
// A commit need not wait for the disk: the one that marks the database as loaded, which comes last, does,
// and it makes all before it durable. Indexes are made with as much memory as the jobs may share: half of
// shared_buffers, which tells what the server has, and 1 GiB at most; never with less than is configured.
func (a *admin) tuneForLoading(ctx context.Context, name string, jobs int) error {
	const op = "set the database up for loading"
	var configured, buffers int64
	err := a.QueryRow(ctx, `select (select setting::bigint * 1024 from pg_settings where name = 'maintenance_work_mem'),
		(select setting::bigint * current_setting('block_size')::bigint from pg_settings where name = 'shared_buffers')`).Scan(&configured, &buffers)
	if err != nil {
		return classify(op, err)
	}
	settings := []string{"synchronous_commit = off"}
	if memory := min(buffers/2, 1<<30) / int64(max(1, jobs)); memory > configured {
		settings = append(settings, fmt.Sprintf("maintenance_work_mem = '%dkB'", memory>>10))
	}
	for _, setting := range settings {
		if _, err := a.Exec(ctx, "ALTER DATABASE "+quoted(name)+" SET "+setting); err != nil {
			return classify(op, err)
		}
	}
	return nil
}
