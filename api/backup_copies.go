package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// CopyInput names a backup, and which copy of it is read.
type CopyInput struct {
	ExecutionID       string `path:"executionId" format:"uuid" doc:"The backup"`
	StorageLocationID string `query:"storage_location_id" format:"uuid" doc:"Which copy to read, and no other; left out: the first good one that answers"`
}

// copies are the storage locations to read a backup from, the first to try first; never none.
func (s *server) copies(ctx context.Context, in CopyInput) ([]db.StorageLocation, error) {
	found, err := s.db.ReadableCopies(ctx, in.ExecutionID, "")
	if err != nil {
		return nil, err
	}
	var locations []db.StorageLocation
	for _, c := range found {
		if in.StorageLocationID != "" && in.StorageLocationID != c.StorageLocationID {
			continue
		}
		location, err := s.db.GetStorageLocation(ctx, c.StorageLocationID)
		if err != nil {
			return nil, missing(err, "storage location", c.StorageLocationID)
		}
		locations = append(locations, location)
	}
	switch {
	case len(locations) > 0:
		return locations, nil
	case in.StorageLocationID != "":
		return nil, invalidField("query.storage_location_id", "is no enabled storage location with a copy of this backup")
	}
	return nil, problem.New(http.StatusConflict, fmt.Sprintf("No enabled storage location holds backup %s.", in.ExecutionID))
}

// fromCopy streams what a worker reads of a backup, from the first copy that can be opened. Once bytes flow there
// is no other: what breaks off then is broken off.
func (s *server) fromCopy(ctx context.Context, locations []db.StorageLocation, header http.Header, needs auth.Permission,
	request func(contract.BackupCopy) (dataport.Request, error), executionID string,
) (*huma.StreamResponse, error) {
	for i, location := range locations {
		asked, err := request(contract.BackupCopy{ExecutionID: executionID, StorageLocationID: location.ID, Pool: location.Pool})
		if err != nil {
			return nil, err
		}
		out, err := s.transfer(ctx, asked, header, needs, copyProblem)
		if err == nil || i == len(locations)-1 || !isStatus(err, http.StatusBadGateway) && !isStatus(err, http.StatusServiceUnavailable) {
			return out, err
		}
		s.log.WarnContext(ctx, "a copy of a backup could not be opened; the next is tried", "execution", executionID, "storage", location.Name)
	}
	panic("api: a backup without copies")
}

// copyProblem is the answer for what a worker could not read of a backup.
func copyProblem(class failure.Class, message, hint string) error {
	detail := strings.TrimSpace(strings.TrimRight(message, ".") + ". " + hint)
	switch class {
	case failure.NotFound:
		return problem.New(http.StatusNotFound, detail)
	case failure.Unsupported:
		return problem.New(http.StatusUnprocessableEntity, detail)
	}
	return problem.New(http.StatusBadGateway, detail)
}
