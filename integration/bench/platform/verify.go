package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// verifyPoll is how often the end of a verification is looked for: its wall time is as coarse.
const verifyPoll = 20 * time.Millisecond

// verification is the state of one as the API shows it.
type verification struct {
	State   string               `json:"state"` // none, running, ended, failed
	Error   string               `json:"error"`
	Outcome *domain.Verification `json:"verification"`
}

// Verify reads everything that a backup stored, and checks it.
func (j *Job) Verify(ctx context.Context, backup string) (measure.Run, error) {
	path := "/api/executions/" + backup
	return j.platform.around(func() error {
		var state verification
		if err := j.platform.exchange(ctx, http.MethodPost, path+"/verify", map[string]any{"mode": domain.VerifyFull}, &state); err != nil {
			return err
		}
		tick := time.NewTicker(verifyPoll)
		defer tick.Stop()
		for state.State == "running" {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
			if err := j.platform.exchange(ctx, http.MethodGet, path+"/verification", nil, &state); err != nil {
				return err
			}
		}
		return state.check()
	})
}

// check refuses anything but a full verification that found all well.
func (v verification) check() error {
	if v.State != "ended" || v.Outcome == nil || v.Outcome.Mode != domain.VerifyFull || !v.Outcome.OK {
		return fmt.Errorf("the verification is %s: %s %+v", v.State, v.Error, v.Outcome)
	}
	return nil
}

// exchange calls the API without the waiting that the client's own calls do in larger steps.
func (p *Platform) exchange(ctx context.Context, method, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.baseURL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body == nil {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+p.api.Token())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, content)
	}
	return json.Unmarshal(content, out)
}
