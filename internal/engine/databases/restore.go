package databases

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// each does one step of a restore for every chosen database, and stops at the first error.
func each(target engine.Source, req engine.StageRequest, step func(name string, target engine.Source, req engine.StageRequest) error) error {
	const op = "restore the databases of a server"
	if len(req.Databases) == 0 {
		return failure.New(failure.ConfigInvalid, op, "no database is chosen", "Name the databases in databases.")
	}
	if req.Target != "" && len(req.Databases) > 1 && !req.Scratch {
		return failure.New(failure.ConfigInvalid, op, "several databases can not be restored into one", "Leave target_database empty: each is restored under its own name.")
	}
	for _, name := range req.Databases {
		sub := req
		sub.Databases, sub.Token, sub.Streams = nil, tokenOf(req.Token, name), of(req.Streams, name)
		if sub.Target == "" {
			sub.Target = name
		}
		if err := step(name, in(target, sub.Target), sub); err != nil {
			return inDatabase(name, err)
		}
	}
	return nil
}

// CheckTarget refuses a server on which one of the databases can not be restored.
func (e *Engine) CheckTarget(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	has := Names(req.Streams)
	for _, name := range req.Databases {
		if !req.BeforeBackup && !slices.Contains(has, name) {
			return failure.New(failure.ConfigInvalid, "choose databases", fmt.Sprintf("the backup has no database %q", name),
				"It has "+strings.Join(has, ", ")+".")
		}
	}
	return each(target, req, func(_ string, target engine.Source, req engine.StageRequest) error {
		return e.one.CheckTarget(ctx, target, req)
	})
}

// Stage loads every chosen database beside its target.
func (e *Engine) Stage(ctx context.Context, target engine.Source, req engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	var total engine.StageReport
	var staged []string
	err := each(target, req, func(name string, target engine.Source, req engine.StageRequest) error {
		report, err := e.one.Stage(ctx, target, req, opener(open, name))
		staged = append(staged, report.Staging)
		total.Tables += report.Tables
		for _, warning := range report.Warnings {
			total.Warnings = append(total.Warnings, fmt.Sprintf("database %q: %s", name, warning))
		}
		return err
	})
	total.Staging = strings.Join(staged, stagingSeparator)
	return total, err
}

// Promote swaps the databases in, one after the other: when one can not be, those before it are
// restored and those after it as they were, and a repeated call goes on where it stopped.
func (e *Engine) Promote(ctx context.Context, target engine.Source, req engine.StageRequest) ([]string, error) {
	var warnings []string
	err := each(target, req, func(name string, target engine.Source, req engine.StageRequest) error {
		more, err := e.one.Promote(ctx, target, req)
		for _, warning := range more {
			warnings = append(warnings, fmt.Sprintf("database %q: %s", name, warning))
		}
		return err
	})
	return warnings, err
}

// Discard removes what was staged of every chosen database; it goes on after an error.
func (e *Engine) Discard(ctx context.Context, target engine.Source, req engine.StageRequest) error {
	var first error
	err := each(target, req, func(name string, target engine.Source, req engine.StageRequest) error {
		if err := e.one.Discard(ctx, target, req); err != nil && first == nil {
			first = inDatabase(name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return first
}
