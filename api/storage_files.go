package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// StoredFile is a file or a folder of a storage location.
type StoredFile struct {
	Name       string     `json:"name"`
	Path       string     `json:"path" doc:"From the location's root; a folder's has no slash at its end"`
	Type       string     `json:"type" enum:"file,folder"`
	Size       *int64     `json:"size" doc:"In bytes; null for a folder"`
	ModifiedAt *time.Time `json:"modified_at" doc:"null for a folder"`
}

// StorageUsage is what a storage location holds and has left.
type StorageUsage struct {
	UsedBytes      *int64              `json:"used_bytes" doc:"All files together; null unknown"`
	AvailableBytes *int64              `json:"available_bytes" doc:"null unknown"`
	CapacityBytes  *int64              `json:"capacity_bytes" doc:"null unknown"`
	Datasources    []DatasourceStorage `json:"datasources" nullable:"false" doc:"What the catalogue knows to be there, the largest first, 1,000 at most"`
}

// DatasourceStorage is a datasource's share of a storage location.
type DatasourceStorage struct {
	DatasourceID string `json:"datasource_id" format:"uuid"`
	Name         string `json:"name"`
	Backups      int64  `json:"backups" doc:"Kept there"`
	Bytes        int64  `json:"bytes" doc:"That they added"`
}

type listFilesInput struct {
	ByID
	Paging
	Path string `query:"path" maxLength:"1025" doc:"Folder; left out: the root"`
}

const filesPath = "/api/storage-locations/{id}/files"

func (s *server) registerStorageFiles() {
	tags := []string{"Storage locations"}
	waits := []int{http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	register(s, requires(auth.StorageRead), huma.Operation{
		OperationID: "list-storage-files", Method: http.MethodGet, Path: filesPath, Tags: tags, Summary: "List a folder of a storage location",
		Description: "A worker of its pool looks. Files and folders together, in byte order of their names, where a folder's counts with a slash at its end.",
		Errors:      waits,
	}, s.listFiles)
	register(s, requires(auth.StorageRead), huma.Operation{
		OperationID: "get-storage-usage", Method: http.MethodGet, Path: "/api/storage-locations/{id}/usage", Tags: tags,
		Summary: "What a storage location holds and has left", Errors: waits,
	}, s.storageUsage)
	s.registerFileChanges(tags)
	s.registerFileDownload(tags)
}

func (s *server) listFiles(ctx context.Context, in *listFilesInput) (*body[page[StoredFile]], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	folder := strings.TrimSuffix(in.Path, "/")
	if folder != "" {
		if err := checkFilePath("query.path", in.Path); err != nil {
			return nil, err
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, db.ErrInvalidCursor
	}
	part, err := explore(ctx, s, contract.ListFiles, row, "List a folder", contract.FolderInput{
		StorageLocationID: row.ID, Path: folder, After: string(after), Limit: in.Limit, Labels: contract.Labels{Storage: row.Name},
	})
	if err == nil {
		err = refused(part.Refusal, "query.path")
	}
	if err != nil {
		return nil, err
	}
	next := ""
	if part.More {
		next = base64.RawURLEncoding.EncodeToString([]byte(part.Entries[len(part.Entries)-1].Name))
	}
	return pageOf(part.Entries, next, func(e contract.FolderEntry) StoredFile { return viewFile(folder, e) }), nil
}

func viewFile(folder string, e contract.FolderEntry) StoredFile {
	name, isFolder := strings.CutSuffix(e.Name, "/")
	file := StoredFile{Name: name, Path: path.Join(folder, name), Type: "folder"}
	if !isFolder {
		file.Type, file.Size, file.ModifiedAt = "file", &e.Size, e.Modified
	}
	return file
}

func (s *server) storageUsage(ctx context.Context, in *ByID) (*body[StorageUsage], error) {
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	stored, err := s.db.StoredByDatasource(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	measured, err := explore(ctx, s, contract.MeasureStorage, row, "Measure", contract.StorageRef{StorageLocationID: row.ID})
	if err == nil {
		err = refused(measured.Refusal, "")
	}
	if err != nil {
		return nil, err
	}
	usage := StorageUsage{
		UsedBytes: known(measured.Used), AvailableBytes: known(measured.Available), CapacityBytes: known(measured.Capacity),
		Datasources: make([]DatasourceStorage, len(stored)),
	}
	for i, d := range stored {
		usage.Datasources[i] = DatasourceStorage(d)
	}
	return &body[StorageUsage]{usage}, nil
}

// known is nil for a number of bytes that is not known.
func known(bytes int64) *int64 {
	if bytes < 0 {
		return nil
	}
	return &bytes
}

// checkFilePath refuses a path that leads out of the location or names no file.
func checkFilePath(field, at string) error {
	if wrong := domain.ObjectKeyProblem(strings.TrimSuffix(at, "/")); wrong != "" {
		return invalidField(field, "%s; give a path from the location's root, like orders-01234567/backups", wrong)
	}
	return nil
}

// explore runs a workflow on the files of a location, and waits for its answer.
func explore[In, Out any](ctx context.Context, s *server, handle contract.Workflow[In, Out], row db.StorageLocation, what string, in In) (Out, error) {
	run, err := startFileWork(ctx, s, handle, row, what, s.opts.TestTimeout, in)
	if err != nil {
		var none Out
		return none, err
	}
	return awaitRun[Out](ctx, s, run, row.Pool)
}

// startFileWork starts such a workflow. It ends by itself after limit, 0 for none.
func startFileWork[In, Out any](ctx context.Context, s *server, handle contract.Workflow[In, Out], row db.StorageLocation, what string,
	limit time.Duration, in In,
) (client.WorkflowRun, error) {
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := handle.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: contract.ExploreWorkflowID(uuid.NewString()), TaskQueue: contract.TaskQueue(row.Pool), WorkflowExecutionTimeout: limit,
		StaticSummary: what + " on " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.SearchOperation.ValueSet("files"), contract.SearchStorage.ValueSet(row.Name)),
	}, in)
	if err != nil {
		return nil, s.temporalDown(ctx, "ask a worker", err)
	}
	return run, nil
}

// refused is the answer for what a worker did not do; field is what was asked for, "" for nothing that
// the client named. nil for no refusal.
func refused(r *contract.Refusal, field string) error {
	if r == nil {
		return nil
	}
	switch r.Reason {
	case contract.RefusedHeld:
		p := problem.New(http.StatusConflict, r.Message+". Delete those backups first.")
		p.Holders = r.Holders
		return p
	case contract.RefusedExists:
		return problem.New(http.StatusConflict, r.Message+".")
	case contract.RefusedReserved:
		return invalidField("to", "%s", r.Message)
	case contract.RefusedPath:
		return invalidField(field, "%s", r.Message)
	default:
		// The path was checked here, so a setting that is wrong is one of the location, not the client's.
		return storageProblem(failure.Class(r.Class), r.Message, r.Hint, "")
	}
}

// storageProblem is the answer for an error that a worker met on a storage location.
func storageProblem(class failure.Class, message, hint, field string) error {
	detail := strings.TrimRight(message, ".") + "."
	if hint != "" {
		detail += " " + hint
	}
	switch class {
	case failure.NotFound:
		return problem.New(http.StatusNotFound, detail)
	case failure.ConfigInvalid:
		if field != "" {
			return problem.New(http.StatusUnprocessableEntity, detail, problem.Field{Location: field, Message: message})
		}
	case failure.StorageFull:
		return problem.New(http.StatusInsufficientStorage, detail)
	}
	return problem.New(http.StatusBadGateway, detail)
}

// isStatus reports whether err is the problem of this status.
func isStatus(err error, status int) bool {
	var p *problem.Problem
	return errors.As(err, &p) && p.Status == status
}
