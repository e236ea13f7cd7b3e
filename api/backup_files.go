package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/domain"
)

type backupFilesInput struct {
	CopyInput
	Paging
	Path string `query:"path" maxLength:"4096" doc:"Folder, from the root of the backup; left out: the root"`
}

func (s *server) registerBackupFiles(tags []string) {
	operation := huma.Operation{
		OperationID: "list-backup-files", Method: http.MethodGet, Path: "/api/backups/{executionId}/files", Tags: tags,
		Summary: "List a folder of a files backup",
		Description: "A worker reads it from the backup's index, which is checked as a restore would. In byte order of the names; what is not UTF-8 of a name is shown " +
			"as U+FFFD. Neither folder nor names pass through Temporal.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}
	operation.Responses = s.jsonOf(reflect.TypeFor[domain.BackedUpFiles](), "BackedUpFiles", "A part of the folder")
	register(s, requires(auth.BackupsRead), operation, s.listBackupFiles)
}

func (s *server) listBackupFiles(ctx context.Context, in *backupFilesInput) (*huma.StreamResponse, error) {
	folder := strings.TrimSuffix(in.Path, "/")
	if folder != "" && (path.Clean(folder) != folder || folder[0] == '/' || folder == "." || folder == ".." || strings.HasPrefix(folder, "../") || strings.ContainsRune(folder, 0)) {
		return nil, invalidField("query.path", "is no folder of a backup; give its path from the root of the backup, like etc/nginx")
	}
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, db.ErrInvalidCursor
	}
	source, err := s.restorableBackup(ctx, in.ExecutionID)
	if err != nil {
		return nil, err
	}
	backedUp, err := s.db.GetDatasource(ctx, *source.DatasourceID)
	if err != nil {
		return nil, missing(err, "datasource", *source.DatasourceID)
	}
	if backedUp.Type != domain.Files {
		return nil, problem.New(http.StatusConflict, fmt.Sprintf("Execution %s is a %s backup; only files backups have a list of files.", source.ID, backedUp.Type))
	}
	locations, err := s.copies(ctx, in.CopyInput)
	if err != nil {
		return nil, err
	}
	return s.fromCopy(ctx, locations, http.Header{}, auth.BackupsRead, func(from contract.BackupCopy) (dataport.Request, error) {
		text, err := json.Marshal(contract.BackupFolder{BackupCopy: from, Path: folder, After: after, Limit: in.Limit})
		if err != nil {
			err = fmt.Errorf("encode what to look for: %w", err)
		}
		return dataport.Request{Kind: contract.TransferBackupFiles, Pool: from.Pool, Body: text}, err
	}, source.ID)
}
