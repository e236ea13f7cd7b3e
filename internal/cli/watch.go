package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/progress"
)

func (a *app) watchCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "watch ID",
		Short: "Follow an execution to its end, and fail when it fails",
		Args:  exactly("the id of an execution"),
	}
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		execution, err := s.GetExecution(ctx, args[0])
		if err != nil {
			return err
		}
		return s.watch(ctx, execution)
	})
	return command
}

func (a *app) verifyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "verify ID",
		Short: "Check a backup now, and fail when it is damaged",
		Args:  exactly("the id of a backup"),
	}
	var full, wait bool
	var storage string
	command.Flags().BoolVar(&full, "full", false, "read everything back, instead of looking whether it is there")
	command.Flags().BoolVar(&wait, "wait", false, "wait for the outcome")
	command.Flags().StringVar(&storage, "storage", "", "the copy on this storage location, by name or id")
	_ = command.RegisterFlagCompletionFunc("storage", a.completeNames("storage")) // fails only for an unknown flag
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		mode := domain.VerifyQuick
		if full {
			mode = domain.VerifyFull
		}
		state, err := s.startVerification(ctx, args[0], storage, mode)
		if err == nil && wait {
			state, err = s.WaitVerification(ctx, args[0])
		}
		if err != nil {
			return err
		}
		answer, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("encode the outcome: %w", err)
		}
		if err := s.printer.one(answer); err != nil {
			return err
		}
		switch {
		case !wait:
			return nil
		case state.State == "failed":
			return failed("the verification could not be made: %s", clean(state.Error))
		case state.Verification == nil || !state.Verification.OK:
			return failed("backup %s did not verify", args[0])
		}
		return nil
	})
	return command
}

func (s *session) startVerification(ctx context.Context, id, storage string, mode domain.VerifyMode) (client.VerificationState, error) {
	if storage == "" {
		return s.Verify(ctx, id, mode)
	}
	at, err := s.idFor(ctx, "storage", storage)
	if err != nil {
		return client.VerificationState{}, err
	}
	return s.VerifyCopy(ctx, id, at, mode)
}

// follow watches the execution that an answer is.
func (s *session) follow(ctx context.Context, answer json.RawMessage) error {
	var execution client.Execution
	if err := json.Unmarshal(answer, &execution); err != nil {
		return fmt.Errorf("read the execution: %w", err)
	}
	return s.watch(ctx, execution)
}

// watch follows an execution to its end and prints it. It fails when the execution did not complete.
func (s *session) watch(ctx context.Context, execution client.Execution) error {
	line := progress.New(s.cmd.ErrOrStderr(), string(execution.Metadata.Operation))
	final, err := s.WaitExecution(ctx, execution.ID, func(e client.Execution) {
		if e.Metadata.Progress != nil {
			line.Show(*e.Metadata.Progress)
		}
	})
	line.End()
	if err != nil {
		return err
	}
	if err := s.showFinal(ctx, final); err != nil {
		return err
	}
	if final.Status == domain.Completed {
		return nil
	}
	return notCompleted(string(final.Metadata.Operation), final.Status, final.ErrorMessage, final.Metadata.Hint)
}

// notCompleted says how something ended that did not end well, why, and what to do.
func notCompleted(what string, status domain.ExecutionStatus, cause, hint string) error {
	message := fmt.Sprintf("the %s %s", what, status)
	if status == domain.Cancelled {
		message = fmt.Sprintf("the %s was cancelled", what)
	}
	for _, part := range []string{cause, hint} {
		if part != "" {
			message += ": " + clean(part)
		}
	}
	return failed("%s", message)
}

// showFinal prints an execution that has ended: for people its outcome, else all of it.
func (s *session) showFinal(ctx context.Context, final client.Execution) error {
	answer, err := s.Do(ctx, client.Call{Method: "GET", Path: "/api/executions/" + final.ID})
	if err != nil {
		return err
	}
	if !s.printer.table() {
		return s.printer.one(answer)
	}
	return s.printer.many([]json.RawMessage{answer}, executionResource().columns, s.cell(ctx))
}
