package activities

import (
	"context"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// DueOrder is in which order a health check goes through a pool.
func (a *Activities) DueOrder(ctx context.Context, pool string) (ids []string, err error) {
	due, err := a.dueOfPool(ctx, pool, domain.DefaultHealth(), &poolCheck{})
	for _, one := range due {
		ids = append(ids, one.id)
	}
	return ids, err
}
