package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// stillSees refuses to repeat an answer to somebody who may not see any more what it is about: a limit may have
// been set since, or a tag have been taken away. What an answer is about is named by the path of the request and
// by the Location of the answer; one that names nothing is not repeated to who is limited. Of several permissions
// that let the caller in each must show it, for which one the answer was given by is not known.
func (s *server) stillSees(ctx context.Context, anyOf []auth.Permission, paths ...string) error {
	who := principalOf(ctx)
	if who.held == nil {
		return nil
	}
	for _, p := range anyOf {
		if !who.Grants.Allows(p) || who.held.Scope(p) == nil {
			continue
		}
		narrow, err := s.narrowedTo(ctx, p)
		if err != nil {
			return err
		}
		if err := s.seesPaths(narrow, paths); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) seesPaths(ctx context.Context, paths []string) error {
	named := false
	for _, path := range paths {
		known, err := s.seesPath(ctx, path)
		if errors.Is(err, db.ErrNotFound) {
			return problem.New(http.StatusNotFound, "What this request was answered with is gone, or is outside of what you are limited to now.")
		}
		if err != nil {
			return err
		}
		named = named || known
	}
	if !named {
		return problem.New(http.StatusConflict, "Your permission is limited now, and what this request was answered with may be about more; send another Idempotency-Key.")
	}
	return nil
}

// seesPath looks for the resource that a path names. It reports whether it names one of a kind that can be limited.
func (s *server) seesPath(ctx context.Context, path string) (known bool, err error) {
	parts := strings.SplitN(strings.TrimPrefix(path, "/api/"), "/", 3)
	if len(parts) < 2 {
		return false, nil
	}
	if _, notID := uuid.Parse(parts[1]); notID != nil {
		return false, nil //nolint:nilerr // it names something else
	}
	switch id := parts[1]; parts[0] {
	case "datasources":
		_, err = s.db.GetDatasource(ctx, id)
	case "storage-locations":
		_, err = s.db.GetStorageLocation(ctx, id)
	case "backup-jobs":
		_, err = s.db.GetBackupJob(ctx, id)
	case "executions", "backups":
		_, err = s.db.GetExecution(ctx, id)
	case "db-sync-jobs":
		_, err = s.db.GetSyncJob(ctx, id)
	case "restore-drill-jobs":
		_, err = s.db.GetDrillJob(ctx, id)
	case "db-sync-executions":
		_, err = s.db.GetRun(ctx, db.RunSync, id)
	case "restore-drill-executions":
		_, err = s.db.GetRun(ctx, db.RunDrill, id)
	default:
		return false, nil
	}
	return true, err
}
