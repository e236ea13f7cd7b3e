package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/interceptor"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DueOrder is in which order a health check goes through a pool.
func (a *Activities) DueOrder(ctx context.Context, pool string) (ids []string, err error) {
	due, err := a.dueOfPool(ctx, contract.CheckPoolInput{Pool: pool}, domain.DefaultHealth(), &poolCheck{})
	for _, one := range due {
		ids = append(ids, one.id)
	}
	return ids, err
}

// WithTries tells activities that they are tried so often, as long steps are.
func WithTries(most int32) interceptor.WorkerInterceptor {
	return &withPolicy{most: most + contract.Handovers}
}

// RecordWithin bounds the record of what was sent.
func (a *Activities) RecordWithin(limit time.Duration) { a.recordLimit = limit }
