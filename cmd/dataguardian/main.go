// Command dataguardian backs up databases and files, proves that the backups restore, and restores
// them. Each subcommand is a file of this package; what they start is composed elsewhere:
// internal/standalone for `up`, package api, package worker.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/cli"
	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/engine/mongodb/mongotool"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = ""

func main() {
	if len(os.Args) > 1 && os.Args[1] == mongotool.Name {
		// The child process of engine mongodb. It has nothing to stop in order: signals keep their meaning.
		os.Exit(mongotool.Run(os.Args[2:]))
	}
	// The first signal asks for an orderly stop. It also gives the signals their usual meaning
	// back, so that a second one ends the process at once.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "dataguardian: "+shown(err))
		os.Exit(exitCode(err))
	}
}

// shown is what a person is told of an error. What the API answers is as it is: it holds no secrets, and of
// "password: is required" the part that says what is wrong would be taken for one.
func shown(err error) string {
	if client.Status(err) != 0 {
		return failure.Message(err)
	}
	return failure.Redact(failure.Message(err))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "dataguardian",
		Short:         "Back up databases, prove that the backups restore, and restore them",
		Long:          "Back up databases, prove that the backups restore, and restore them.\n\nEvery setting is an environment variable; .env.example lists them all. A flag wins over its variable.",
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	config.AddFlags(root.PersistentFlags(), config.LogFlags)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return badUsage(cmd, "%v", err) })
	root.AddCommand(upCommand(), apiCommand(), workerCommand(), demoCommand(),
		migrateCommand(), rekeyCommand(), recoveryKitCommand(), recoverCommand(), openapiCommand(), versionCommand())
	root.AddGroup(&cobra.Group{ID: cli.GroupID, Title: "Commands that talk to a server:"})
	root.AddCommand(clientCommands()...)
	addUserCommands(root)
	return root
}

// programVersion is the version of the build: the one it was given, else what the Go tool recorded.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
