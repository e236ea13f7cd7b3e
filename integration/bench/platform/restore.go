package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/internal/client"
)

// Restore restores a backup into a database that is not there yet, with so many parallel jobs.
func (j *Job) Restore(ctx context.Context, backup, target string, jobs int) (measure.Run, error) {
	request := map[string]any{
		"target_datasource_id": j.source, "target_database": target, "parallel_jobs": jobs, "confirmation_phrase": client.ConfirmRestore(j.name),
	}
	r, _, err := j.platform.timed(ctx, func() (client.Execution, error) {
		return j.platform.post(ctx, "/api/backups/"+backup+"/restore", request)
	})
	return r, err
}

// Verify reads everything that a backup stored, and checks it.
func (j *Job) Verify(ctx context.Context, backup string) (measure.Run, error) {
	r, _, err := j.platform.timed(ctx, func() (client.Execution, error) {
		return j.platform.post(ctx, "/api/executions/"+backup+"/verify", map[string]any{"mode": "full"})
	})
	return r, err
}

// post calls the API and reads the execution that it answers with.
func (p *Platform) post(ctx context.Context, path string, body any) (started client.Execution, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return started, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.baseURL+path, bytes.NewReader(text))
	if err != nil {
		return started, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+p.api.Token())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return started, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return started, err
	}
	if answer.StatusCode != http.StatusAccepted {
		return started, fmt.Errorf("POST %s: %s: %s", path, answer.Status, content)
	}
	return started, json.Unmarshal(content, &started)
}
