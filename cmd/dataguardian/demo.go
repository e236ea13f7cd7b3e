package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/demo"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

func demoCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "demo",
		Short: "Start everything, back a sample database up, restore it and compare every row",
		Long: "Start everything, back a sample database up, restore it into another one and compare every row.\n\n" +
			"The demo has a data directory of its own (the usual one with \"-demo\" behind its name), keeps its backups beside it\n" +
			"(\"-backups\" behind that), and stays up until Ctrl-C.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			if !cfg.Chosen("DATAGUARDIAN_DATA_DIR") {
				cfg.DataDir += "-demo"
			}
			if !cfg.Chosen("DATAGUARDIAN_LOG_LEVEL") {
				// The demo tells its own story, and what fails ends it with an error. Warnings would be
				// those of the embedded Temporal, which it writes by the dozen while it stops.
				cfg.Log.Level = slog.LevelError
			}
			return runDemo(cmd, cfg)
		},
	}
	config.AddFlags(command.Flags(), config.DemoFlags, config.DataDirFlags, config.APIFlags, config.EmbeddedTemporalFlags)
	return command
}

func runDemo(cmd *cobra.Command, cfg *config.Config) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	stack, err := standalone.Start(ctx, cfg, programVersion(), process.NewLogger(cmd.ErrOrStderr(), cfg.Log))
	if err != nil {
		return err
	}
	defer stack.Stop()
	dir := filepath.Join(cfg.DataDir, "demo")
	source, stop, err := demoSource(ctx, stack, dir)
	if err != nil {
		return err
	}
	defer stop()
	err = demo.Run(ctx, demo.Options{
		APIURL: stack.APIURL(), TemporalUIURL: stack.TemporalUIURL(), SourceAdminURL: source,
		DataDir: dir, BackupDir: cfg.DataDir + "-backups", PlatformDir: cfg.DataDir, SizeMB: cfg.Demo.SizeMB, Out: out,
	})
	if err != nil || cfg.Demo.Exit {
		return err
	}
	if _, err := fmt.Fprintln(out, "\nEverything stays up until Ctrl-C."); err != nil {
		return err
	}
	return stack.Wait(ctx)
}

// demoSource is the Postgres server for the sample database: the stack's own, or one just for the
// demo where the catalogue is on somebody else's server.
func demoSource(ctx context.Context, stack *standalone.Stack, dir string) (url string, stop func(), err error) {
	if server := stack.Postgres(); server != nil {
		return server.URL(), func() {}, nil
	}
	server, err := postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(dir, "postgres")})
	if err != nil {
		return "", nil, err
	}
	return server.URL(), func() { _ = server.Stop(context.WithoutCancel(ctx)) }, nil
}
