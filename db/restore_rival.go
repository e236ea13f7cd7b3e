package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// RestoreRival finds a restore that is queued or running and writes what another one is about to write, whatever the
// datasource's name there; "" when there is none. Who makes a restore asks in the same transaction: until that ends nobody
// else makes one. except is the restore itself, "" if it has no row yet.
func (q *Queries) RestoreRival(ctx context.Context, options domain.RestoreOptions, except string) (string, error) {
	const op = "look for restores into the same database"
	ctx = Unscoped(ctx) // what the caller does not see writes all the same
	if options.VerificationMode {
		return "", nil
	}
	if err := q.q.LockRestores(ctx); err != nil {
		return "", translate(op, err)
	}
	if except == "" {
		except = nobody
	}
	active, err := q.q.ActiveRestores(ctx, except)
	if err != nil || len(active) == 0 {
		return "", translate(op, err)
	}
	wanted, err := q.restoreTargets(ctx, options)
	if err != nil {
		return "", err
	}
	for _, other := range active {
		if other.Metadata.Restore == nil {
			continue
		}
		theirs, err := q.restoreTargets(ctx, *other.Metadata.Restore)
		if errors.Is(err, ErrNotFound) {
			continue // its datasource is gone: it can not write anything
		}
		if err != nil {
			return "", fmt.Errorf("%s: restore %s: %w", op, other.ID, err)
		}
		for _, target := range theirs {
			for _, w := range wanted {
				if w.Overlaps(target) {
					return other.ID, nil
				}
			}
		}
	}
	return "", nil
}

func (q *Queries) restoreTargets(ctx context.Context, options domain.RestoreOptions) ([]domain.Address, error) {
	d, err := q.GetDatasource(ctx, options.TargetDatasourceID)
	if err != nil {
		return nil, err
	}
	return options.Targets(d.Type, d.Config, d.Pool), nil
}
