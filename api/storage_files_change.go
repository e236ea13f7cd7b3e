package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
)

// FileCopy asks for a copy of a file within its storage location.
type FileCopy struct {
	From      string `json:"from" minLength:"1" maxLength:"1024" doc:"Path of a file"`
	To        string `json:"to" minLength:"1" maxLength:"1024" doc:"Path of the copy"`
	Overwrite bool   `json:"overwrite,omitempty" doc:"Replace what is there"`
}

// FileChange is what became of a copy or a deletion.
type FileChange struct {
	Status      string `json:"status" enum:"completed,running" doc:"running: it takes long and goes on; temporal_url tells how it ends"`
	Objects     *int64 `json:"objects" doc:"Files copied or deleted; null while it runs"`
	Bytes       *int64 `json:"bytes" doc:"Of those; null while it runs"`
	WorkflowID  string `json:"workflow_id"`
	TemporalURL string `json:"temporal_url,omitempty"`
}

// fileChanged is 200, or 202 while the work goes on.
type fileChanged struct {
	Status int
	Body   FileChange
}

type copyFileInput struct {
	ByID
	Body FileCopy
}

type deleteFilesInput struct {
	ByID
	Path string `query:"path" required:"true" minLength:"1" maxLength:"1025" doc:"A file, or a folder with all that is in it; with a slash at its end a folder in any case"`
}

func (s *server) registerFileChanges(tags []string) {
	errs := []int{
		http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusInsufficientStorage,
	}
	goesOn := func() map[string]*huma.Response { // each has its own
		body := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[FileChange](), true, "")
		return map[string]*huma.Response{"202": {
			Description: "It goes on", Content: map[string]*huma.MediaType{"application/json": {Schema: body}},
		}}
	}
	register(s, requires(auth.StorageWrite), huma.Operation{
		OperationID: "copy-storage-file", Method: http.MethodPost, Path: filesPath + "/copy", Tags: tags, Summary: "Copy a file within a storage location",
		Description: "Never to a place where backups write (chunks, manifests, dataguardian.json). 202 when it takes longer than a minute: it goes on.",
		Errors:      errs, Responses: goesOn(),
	}, s.copyFile)
	register(s, requires(auth.StorageWrite), huma.Operation{
		OperationID: "delete-storage-files", Method: http.MethodDelete, Path: filesPath, Tags: tags, Summary: "Delete a file or a folder of a storage location",
		Description: "All of it or, when a backup that is kept or running needs any of it, nothing: 409, and `holders` names them. " +
			"202 when it takes longer than a minute: it goes on.",
		Errors: errs, Responses: goesOn(),
	}, s.deleteFiles)
}

func (s *server) copyFile(ctx context.Context, in *copyFileInput) (*fileChanged, error) {
	for field, at := range map[string]string{"from": in.Body.From, "to": in.Body.To} {
		if err := checkFilePath(field, at); err != nil {
			return nil, err
		}
	}
	if in.Body.From == in.Body.To {
		return nil, invalidField("to", "is the file itself; give another path")
	}
	row, entry, err := s.changeable(ctx, in.ID, "storage_location.copy_file", map[string]any{"from": in.Body.From, "to": in.Body.To, "overwrite": in.Body.Overwrite})
	if err != nil {
		return nil, err
	}
	return changeFiles(ctx, s, contract.CopyFile, row, entry, "Copy a file", "from", contract.CopyFileInput{
		StorageLocationID: row.ID, From: in.Body.From, To: in.Body.To, Overwrite: in.Body.Overwrite, Labels: contract.Labels{Storage: row.Name},
	})
}

func (s *server) deleteFiles(ctx context.Context, in *deleteFilesInput) (*fileChanged, error) {
	if err := checkFilePath("query.path", in.Path); err != nil {
		return nil, err
	}
	row, entry, err := s.changeable(ctx, in.ID, "storage_location.delete_files", map[string]any{"path": in.Path})
	if err != nil {
		return nil, err
	}
	return changeFiles(ctx, s, contract.DeleteFiles, row, entry, "Delete files", "query.path", contract.DeleteFilesInput{
		StorageLocationID: row.ID, Path: in.Path, Labels: contract.Labels{Storage: row.Name},
	})
}

// changeable reads an enabled location and announces what is about to be changed on it.
func (s *server) changeable(ctx context.Context, id, action string, changes map[string]any) (db.StorageLocation, db.AuditEntry, error) {
	row, err := s.db.GetStorageLocation(ctx, id)
	if err != nil {
		return row, db.AuditEntry{}, missing(err, "storage location", id)
	}
	if !row.Enabled {
		return row, db.AuditEntry{}, problem.New(http.StatusConflict, fmt.Sprintf("Storage location %q is disabled; enable it first.", row.Name))
	}
	entry := audited(ctx, action, "storage_location", row.ID, changes)
	return row, entry, s.announce(ctx, entry)
}

// changeFiles makes a change that was announced, and tells the trail when it was not made.
func changeFiles[In any](ctx context.Context, s *server, handle contract.Workflow[In, contract.FilesChanged], row db.StorageLocation,
	entry db.AuditEntry, what, field string, in In,
) (*fileChanged, error) {
	changed, err := workOnFiles(ctx, s, handle, row, what, field, in)
	if err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	return changed, nil
}

// workOnFiles runs a workflow that changes files, and waits as long as a test may take. One that
// nobody takes up is called off: it must not happen when nobody expects it any more.
func workOnFiles[In any](ctx context.Context, s *server, handle contract.Workflow[In, contract.FilesChanged], row db.StorageLocation,
	what, field string, in In,
) (*fileChanged, error) {
	run, err := startFileWork(ctx, s, handle, row, what, 0, in)
	if err != nil {
		return nil, err
	}
	change := FileChange{Status: "running", WorkflowID: run.GetID(), TemporalURL: s.temporalURL(run.GetID())}
	result, err := awaitRun[contract.FilesChanged](ctx, s, run, row.Pool)
	switch {
	case ctx.Err() != nil, isStatus(err, http.StatusGatewayTimeout):
		return &fileChanged{http.StatusAccepted, change}, nil //nolint:nilerr // whoever hung up does not stop it
	case isStatus(err, http.StatusServiceUnavailable):
		s.callOff(ctx, run)
		return nil, err
	case err != nil:
		return nil, err
	}
	if err := refused(result.Refusal, field); err != nil {
		return nil, err
	}
	change.Status, change.Objects, change.Bytes = "completed", &result.Objects, &result.Bytes
	return &fileChanged{http.StatusOK, change}, nil
}

func (s *server) callOff(ctx context.Context, run client.WorkflowRun) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer stop()
	if err := s.temporal.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "no worker serves the pool"); err != nil {
		s.log.WarnContext(ctx, "a workflow that nobody takes up could not be called off", "workflow", run.GetID(), "error", err)
	}
}
