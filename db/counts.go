package db

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// ExecutionCount is how many executions of an operation are in a state.
type ExecutionCount struct {
	Operation domain.Operation
	Status    domain.ExecutionStatus
	Count     int64
}

// Both parts are answered from an index, however many executions there are.
const countExecutions = `
	SELECT operation, status, count(*) FROM backup_executions
	WHERE status IN ('queued', 'running') GROUP BY operation, status
	UNION ALL
	SELECT operation, status, count(*) FROM backup_executions
	WHERE created_at >= now() - interval '24 hours' AND status IN ('completed', 'failed', 'cancelled') GROUP BY operation, status`

// CountExecutions counts the executions that are queued or running, and those created in the last
// 24 hours that have ended. States without any are left out.
func (q *Queries) CountExecutions(ctx context.Context) ([]ExecutionCount, error) {
	const op = "count executions"
	rows, err := q.conn.Query(ctx, countExecutions)
	if err != nil {
		return nil, translate(op, err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ExecutionCount])
	return counts, translate(op, err)
}
