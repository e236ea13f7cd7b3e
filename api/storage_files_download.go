package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/api/problem"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/dataport"
	"github.com/dataguardian/dataguardian/internal/failure"
)

const (
	// stallTimeout is how long a client may take nothing of a download before it is broken off: it holds
	// a connection to the storage.
	stallTimeout = 2 * time.Minute
	// sessionCheckEvery is how often a download looks whether its session still may.
	sessionCheckEvery = 30 * time.Second
	relayBuffer       = 64 << 10
	// transferTries is how many workers are asked: one may have died with its port.
	transferTries = 2
)

type downloadInput struct {
	ByID
	Path string `query:"path" required:"true" minLength:"1" maxLength:"1025" doc:"A file, or a folder; with a slash at its end a folder in any case"`
	RangeInput
}

// RangeInput asks for a part of a file, or for nothing if it is still the same.
type RangeInput struct {
	Range       string `header:"Range" maxLength:"256" doc:"A part of a file, as bytes=from-to; of several parts all of it is sent"`
	IfRange     string `header:"If-Range" maxLength:"512" doc:"ETag of what the part is of; of another file all of it is sent"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"512" doc:"ETag of what you have; 304 if it is still that"`
}

func (in RangeInput) header() http.Header {
	header := http.Header{}
	for name, value := range map[string]string{"Range": in.Range, "If-Range": in.IfRange, "If-None-Match": in.IfNoneMatch} {
		if value != "" {
			header.Set(name, value)
		}
	}
	return header
}

func (s *server) registerFileDownload(tags []string) {
	operation := huma.Operation{
		OperationID: "download-storage-file", Method: http.MethodGet, Path: filesPath + "/download", Tags: tags,
		Summary: "Download a file, or a folder as a zip",
		Description: "Streamed from the worker that has the storage. A file has its length, an ETag, and takes Range; a folder becomes a zip of at most " +
			"100,000 files, stored as they are. A download that can not be completed breaks off: one that ends well is whole.",
		Errors: []int{
			http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
	}
	bytes := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	file := &huma.MediaType{Schema: bytes}
	operation.Responses = map[string]*huma.Response{
		"200": {Description: "The file, or the zip", Content: map[string]*huma.MediaType{"application/octet-stream": file, "application/zip": file}},
		"206": {Description: "The part of the file", Content: map[string]*huma.MediaType{"application/octet-stream": file}},
		"304": {Description: "You have it"},
	}
	register(s, requires(auth.StorageDownload), operation, s.downloadFile)
}

func (s *server) downloadFile(ctx context.Context, in *downloadInput) (*huma.StreamResponse, error) {
	if err := checkFilePath("query.path", in.Path); err != nil {
		return nil, err
	}
	row, err := s.db.GetStorageLocation(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	if err := s.db.AddAudit(ctx, audited(ctx, "storage_location.download", "storage_location", row.ID, map[string]any{"path": in.Path})); err != nil {
		return nil, err
	}
	text, err := json.Marshal(contract.StorageFile{StorageLocationID: row.ID, Pool: row.Pool, Path: in.Path})
	if err != nil {
		return nil, fmt.Errorf("encode what to transfer: %w", err)
	}
	return s.transfer(ctx, dataport.Request{Kind: contract.TransferStorageFiles, Pool: row.Pool, Body: text}, in.header(), auth.StorageDownload,
		func(class failure.Class, message, hint string) error {
			return storageProblem(class, message, hint, "query.path")
		})
}

// toldAs makes an answer to the client of what a worker could not deliver.
type toldAs func(class failure.Class, message, hint string) error

// transfer streams what a worker of a pool has to the client, who must go on holding the permission.
func (s *server) transfer(ctx context.Context, request dataport.Request, header http.Header, needs auth.Permission, told toldAs) (*huma.StreamResponse, error) {
	answer, err := s.openTransfer(ctx, request, header, told) //nolint:bodyclose // relay closes it, which is called whatever becomes of the client
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		refusal := problem.New(answer.StatusCode, "The file has no such part; Content-Range tells its length.").WithHeader("Content-Range", answer.Header.Get("Content-Range"))
		return nil, errors.Join(refusal, answer.Body.Close())
	}
	return &huma.StreamResponse{Body: func(out huma.Context) { s.relay(out, answer, needs) }}, nil
}

// openTransfer finds a worker's port and asks it. A port that does not answer may be that of a worker
// which has just ended: then another one is looked for.
func (s *server) openTransfer(ctx context.Context, request dataport.Request, header http.Header, told toldAs) (*http.Response, error) {
	source := dataport.Client{Key: dataport.Key(s.db.TransferKey())}
	for try := 1; ; try++ {
		offer, err := s.transferOffer(ctx, request.Pool)
		if err != nil {
			return nil, err
		}
		answer, err := source.Open(ctx, offer, request, header)
		switch class := failure.ClassOf(err); {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case class == failure.Unreachable && try < transferTries:
			continue
		case errors.Is(err, dataport.ErrOffer):
			return nil, told(failure.AuthFailed, failure.Redact(err.Error()), failure.HintOf(err))
		default:
			return nil, told(class, failure.Redact(err.Error()), failure.HintOf(err))
		}
	}
}

// transferOffer asks the workers of a pool for a data port. What is to be read does not pass here.
func (s *server) transferOffer(ctx context.Context, pool string) (dataport.Offer, error) {
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := contract.OpenTransfer.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: contract.TransferWorkflowID(uuid.NewString()), TaskQueue: contract.TaskQueue(pool), WorkflowExecutionTimeout: s.opts.TestTimeout,
		StaticSummary:         "Look for a worker of pool " + pool + " for a download",
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("transfer")),
	}, contract.TransferInput{Pool: pool})
	if err != nil {
		return dataport.Offer{}, s.temporalDown(ctx, "look for a worker", err)
	}
	found, err := awaitRun[contract.TransferOffer](ctx, s, run, pool)
	if err != nil {
		return dataport.Offer{}, err
	}
	if found.Off {
		return dataport.Offer{}, problem.New(http.StatusServiceUnavailable, fmt.Sprintf(
			"The worker of pool %s serves no downloads: its data port is off. Set DATAGUARDIAN_DATA_LISTEN of the workers to host:port.", pool))
	}
	return dataport.Offer{URL: found.URL, Certificate: found.Certificate, MAC: found.MAC}, nil
}

// relayed are the headers of the worker's answer that the client gets.
var relayed = []string{"Content-Type", "Content-Length", "Content-Range", "Content-Disposition", "Accept-Ranges", "ETag", "Last-Modified"}

// relay hands the worker's bytes on as fast as the client takes them. What breaks off there breaks off
// here: the client must not take a part for the whole.
func (s *server) relay(out huma.Context, answer *http.Response, needs auth.Permission) {
	defer func() { _ = answer.Body.Close() }()
	for _, name := range relayed {
		if value := answer.Header.Get(name); value != "" {
			out.SetHeader(name, value)
		}
	}
	out.SetHeader("X-Accel-Buffering", "no") // nginx would store it on its disk
	out.SetStatus(answer.StatusCode)
	sent, err := s.copyOut(out, answer.Body, needs)
	if err == nil {
		return
	}
	if ctx := out.Context(); ctx.Err() == nil {
		s.log.WarnContext(ctx, "a download broke off", "bytes", sent, "error", failure.Redact(err.Error()))
	}
	panic(http.ErrAbortHandler)
}

func (s *server) copyOut(out huma.Context, in io.Reader, needs auth.Permission) (sent int64, err error) {
	ctx, w := out.Context(), out.BodyWriter()
	deadline := func(time.Time) {}
	if response, ok := w.(http.ResponseWriter); ok {
		control := http.NewResponseController(response)
		// A writer that knows no deadlines (tests) still writes.
		deadline = func(at time.Time) { _ = control.SetWriteDeadline(at) }
	}
	defer func() { deadline(time.Time{}) }() // the connection is used again
	checked := time.Now()
	buffer := make([]byte, relayBuffer)
	for {
		n, readErr := in.Read(buffer)
		if n > 0 {
			deadline(time.Now().Add(stallTimeout))
			written, err := w.Write(buffer[:n])
			if sent += int64(written); err != nil {
				return sent, err
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return sent, nil
		case readErr != nil:
			return sent, readErr
		case time.Since(checked) > sessionCheckEvery:
			if err := s.stillAllowed(ctx, needs); err != nil {
				return sent, err
			}
			checked = time.Now()
		}
	}
}

// stillAllowed ends downloads of sessions and API tokens that ended or lost their right meanwhile.
func (s *server) stillAllowed(ctx context.Context, needs auth.Permission) error {
	_, err := s.stillSignedIn(ctx, needs)
	return err
}
