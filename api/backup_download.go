package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
)

type backupDownloadInput struct {
	CopyInput
	Stream string `query:"stream" maxLength:"1025" doc:"Of a backup of several streams: only this one, for example roles.sql"`
	RangeInput
}

const downloadBackup = "download-backup"

func (s *server) registerBackupDownload(tags []string) {
	operation := huma.Operation{
		OperationID: downloadBackup, Method: http.MethodGet, Path: "/api/backups/{executionId}/download", Tags: tags,
		Summary: "Download the plain dump of a backup",
		Description: "What the dump tool wrote, decrypted and decompressed by a worker, every chunk checked before it is sent: what pg_restore, mysql, mongorestore, " +
			"sqlite3 or tar read. It has its length, an ETag, and takes Range. A backup of several streams (several jobs, a whole server) is a tar of them, " +
			"without length and Range, unless `stream` names one; extracted, a Postgres dump by several jobs is what `pg_restore --format=directory` reads. " +
			"A download that can not be completed breaks off: one that ends well is whole.\n\nNeeds `backups.read` too.",
		Errors: []int{
			http.StatusNotFound, http.StatusConflict, http.StatusRequestedRangeNotSatisfiable, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
	}
	file := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	operation.Responses = map[string]*huma.Response{
		"200": {Description: "The dump, or the tar", Content: map[string]*huma.MediaType{"application/octet-stream": file, "application/x-tar": file}},
		"206": {Description: "The part of the dump", Content: map[string]*huma.MediaType{"application/octet-stream": file}},
		"304": {Description: "You have it"},
	}
	register(s, requires(auth.StorageDownload), operation, s.downloadBackup)
}

// downloadBackup asks for two permissions: the first takes what lies on a storage out of it, which of an encrypted
// backup is nothing to read; the plain data of a backup is for who may see backups as well.
func (s *server) downloadBackup(ctx context.Context, in *backupDownloadInput) (*huma.StreamResponse, error) {
	if !principalOf(ctx).Grants.Allows(auth.BackupsRead) {
		return nil, s.refuse(ctx, downloadBackup, []auth.Permission{auth.BackupsRead})
	}
	reading, err := s.narrowedTo(ctx, auth.BackupsRead)
	if err != nil {
		return nil, err
	}
	if _, err := s.execution(reading, in.ExecutionID); err != nil {
		return nil, err
	}
	source, err := s.restorableBackup(ctx, in.ExecutionID)
	if err != nil {
		return nil, err
	}
	locations, err := s.copies(ctx, in.CopyInput)
	if err != nil {
		return nil, err
	}
	details := map[string]any{"datasource_id": source.DatasourceID}
	if in.Stream != "" {
		details["stream"] = in.Stream
	}
	if err := s.db.AddAudit(ctx, audited(ctx, "backup.download", "execution", source.ID, details)); err != nil {
		return nil, err
	}
	return s.fromCopy(ctx, locations, in.header(), auth.StorageDownload, func(from contract.BackupCopy) (dataport.Request, error) {
		text, err := json.Marshal(contract.BackupDump{BackupCopy: from, Stream: in.Stream})
		if err != nil {
			err = fmt.Errorf("encode what to transfer: %w", err)
		}
		return dataport.Request{Kind: contract.TransferBackup, Pool: from.Pool, Body: text}, err
	}, source.ID)
}
