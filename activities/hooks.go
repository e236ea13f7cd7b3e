package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/notify"
	"github.com/dataguardian/dataguardian/internal/outbound"
)

// RunHooks runs the hooks of a moment, each once and in order. One that fails is told in the log; with
// fail_run it is the activity's error, and those behind it do not run. The worker may be lost in between:
// then they all run again.
func (a *Activities) RunHooks(ctx context.Context, in contract.HooksInput) (contract.Nothing, error) {
	ctx, stop := untilWorkerStops(ctx)
	defer stop()
	e, err := a.DB.GetExecution(ctx, in.ExecutionID)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	if e.DatasourceID == nil || e.Metadata.Options == nil {
		return contract.Nothing{}, nil
	}
	d, err := a.DB.GetDatasource(ctx, *e.DatasourceID)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	hooks, err := a.hooksOf(ctx, e)
	if err != nil {
		return contract.Nothing{}, toTemporal(ctx, err)
	}
	stopReport := a.report(ctx, in.ExecutionID, func() domain.Progress { return domain.Progress{Phase: domain.PhaseHooks} })
	defer stopReport()
	for i, hook := range hooks.At(in.Moment) {
		err := failure.WithSubject(a.runHook(ctx, hook, d, in), aboutDatasource(d.Name))
		if ctx.Err() != nil {
			return contract.Nothing{}, toTemporal(ctx, ctx.Err())
		}
		what := fmt.Sprintf("hook %s[%d] (%s)", in.Moment, i, hook)
		if err == nil {
			a.log(ctx, e.ID, "info", "%s ran", what)
			continue
		}
		err = hookFailure(what, err)
		secrets := append(d.Config.SecretValues(), domain.ChannelConfig{URL: hook.URL}.SecretValues()...)
		if hook.FailRun {
			return contract.Nothing{}, toTemporal(ctx, err, secrets...)
		}
		a.log(ctx, e.ID, "warning", "%s", failure.Redact(err.Error(), secrets...))
	}
	return contract.Nothing{}, nil
}

// hooksOf are the hooks that a backup began with, at the addresses that its job has now: only a job keeps those.
func (a *Activities) hooksOf(ctx context.Context, e db.Execution) (*domain.Hooks, error) {
	hooks := e.Metadata.Options.Detached().Hooks
	if hooks == nil || e.JobID == nil {
		return hooks, nil
	}
	job, err := a.DB.GetBackupJob(ctx, *e.JobID)
	if errors.Is(err, db.ErrNotFound) {
		return hooks, nil
	}
	if err != nil {
		return nil, err
	}
	_ = hooks.FillURLs(job.BackupOptions.Hooks) // one that is not told stays hidden, and fails when it is called
	return hooks, nil
}

// hookFailure is the error of a hook. It is not tried again: what it had done already is not known.
func hookFailure(what string, err error) error {
	return &failure.Error{
		Class: failure.ConfigInvalid, Op: "run " + what, Cause: err,
		Hint: "Mend or remove the hook in the job's backup_options.hooks, or take fail_run from it.",
	}
}

func (a *Activities) runHook(ctx context.Context, hook domain.Hook, d db.Datasource, in contract.HooksInput) error {
	seconds := hook.TimeoutSeconds
	if seconds == 0 {
		seconds = domain.DefaultHookTimeout
	}
	timeout := time.Duration(seconds) * time.Second
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := a.doHook(limited, hook, timeout, d, in)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("it took longer than its %d seconds (timeout_seconds)", seconds)
	}
	return err
}

func (a *Activities) doHook(ctx context.Context, hook domain.Hook, timeout time.Duration, d db.Datasource, in contract.HooksInput) error {
	switch {
	case hook.SQL != "":
		e, err := a.engineFor(d.Type)
		if err != nil {
			return err
		}
		executor, ok := e.(engine.Executor)
		if !ok {
			return fmt.Errorf("a %s datasource takes no SQL", d.Type)
		}
		return a.reach(ctx, d, func(src engine.Source) error {
			err := executor.Execute(ctx, src, hook.SQL)
			if class := failure.ClassOf(err); err != nil && (class == failure.ConfigInvalid || class == failure.Unknown) {
				return &failure.Error{Class: class, Cause: errors.New(withoutData(failure.Message(err), hook.SQL)), Hint: failure.HintOf(err)}
			}
			return err
		})
	case hook.URL == failure.Mask:
		return errors.New("its address is not known any more: the hooks of the job were changed while the backup ran")
	case hook.URL != "":
		return callHook(ctx, hook.URL, timeout, hookCall{
			Event: in.Moment, ExecutionID: in.ExecutionID, Datasource: d.Name, Status: in.Outcome, Error: in.Message,
		})
	default:
		return a.commandHook(ctx, hook.Command, d, in)
	}
}

// hookCall is the body of the request that a URL hook gets.
type hookCall struct {
	Event       domain.HookMoment      `json:"event"`
	ExecutionID string                 `json:"execution_id"`
	Datasource  string                 `json:"datasource"`
	Status      domain.ExecutionStatus `json:"status,omitempty"`
	Error       string                 `json:"error,omitempty"`
}

// maxHookAnswer is how much of an answer that is no success is read, in bytes.
const maxHookAnswer = 64 << 10

func callHook(ctx context.Context, address string, timeout time.Duration, call hookCall) error {
	body, err := json.Marshal(call)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "DataGuardian")
	secrets := domain.ChannelConfig{URL: address}.SecretValues()
	answer, err := outbound.Client(timeout).Do(request)
	if err != nil {
		return notify.ShownError(withoutURL(err), secrets)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxHookAnswer)) // what came of it is shown
		cutOff := err != nil || len(text) == maxHookAnswer
		return fmt.Errorf("the server answered %d %s: %s", answer.StatusCode, http.StatusText(answer.StatusCode), notify.Shown(string(text), cutOff, secrets))
	}
	return nil
}

// withoutURL takes the address out of an error: its path may be a token.
func withoutURL(err error) error {
	var about *url.Error
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}

// commandHook runs a program that the worker's operator allowed, with nothing of the worker's environment.
func (a *Activities) commandHook(ctx context.Context, command []string, d db.Datasource, in contract.HooksInput) error {
	if !slices.Contains(a.HookCommands, command[0]) {
		return fmt.Errorf("the worker's operator has not allowed %s; set DATAGUARDIAN_HOOK_COMMANDS on the worker", command[0])
	}
	running, err := process.Start(ctx, process.Command{
		Path: command[0], Args: command[1:], Dir: "/",
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
			"DATAGUARDIAN_EVENT=" + string(in.Moment), "DATAGUARDIAN_EXECUTION_ID=" + in.ExecutionID,
			"DATAGUARDIAN_DATASOURCE=" + d.Name, "DATAGUARDIAN_STATUS=" + string(in.Outcome),
		},
		Secrets: d.Config.SecretValues(),
	})
	if err != nil {
		return err
	}
	return running.Wait()
}
