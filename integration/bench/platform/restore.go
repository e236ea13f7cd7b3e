package platform

import (
	"context"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/internal/client"
)

// Restore restores a backup into a database, or a directory, that is not there yet, with so many parallel jobs.
func (j *Job) Restore(ctx context.Context, backup, target string, jobs int) (measure.Run, error) {
	r, _, err := j.platform.timed(ctx, func() (client.Execution, error) {
		return j.platform.api.Restore(ctx, backup, client.RestoreRequest{
			TargetDatasourceID: j.source, TargetDatabase: target, ParallelJobs: jobs, ConfirmationPhrase: client.ConfirmRestore(j.name),
		})
	})
	return r, err
}
