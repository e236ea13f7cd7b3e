package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/cli"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The exit codes of the commands that run a part of the platform. Damage has its own, so that a script which verifies
// backups can tell a bad backup from a storage location that could not be reached. Wrong usage and the commands that talk
// to a server bring theirs (package cli).
const (
	exitFailed = 1
	exitUsage  = 2 // what badUsage ends with
	exitDamage = 3
)

func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		return coded.ExitCode()
	case failure.ClassOf(err) == failure.Corrupt:
		return exitDamage
	default:
		return exitFailed
	}
}

// badUsage says what is wrong with the command line of cmd.
func badUsage(cmd *cobra.Command, format string, args ...any) error {
	return cli.BadUsage(cmd, format, args...)
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
