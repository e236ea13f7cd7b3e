package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The exit codes. Damage has its own, so that a script which verifies backups can tell a bad backup
// from a storage location that could not be reached.
const (
	exitFailed = 1
	exitUsage  = 2
	exitDamage = 3
)

// usageError is a command line that can not be run as it is.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case failure.ClassOf(err) == failure.Corrupt:
		return exitDamage
	default:
		return exitFailed
	}
}

// badUsage says what is wrong with the command line of cmd.
func badUsage(cmd *cobra.Command, format string, args ...any) error {
	return usageError{fmt.Errorf("%s\nRun '%s --help' for usage", fmt.Sprintf(format, args...), cmd.CommandPath())}
}

// exactly takes so many arguments; what they are is for the message.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return badUsage(cmd, "give %s; there are %d arguments", what, len(args))
		}
		return nil
	}
}
