package main

import (
	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
)

func upCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine: API, worker, Temporal with its web UI, Postgres",
		Long: "Run everything on this machine: API, worker, Temporal with its web UI, and a private Postgres.\n\n" +
			"All state is in one data directory. DATABASE_URL and TEMPORAL_ADDRESS take the place of the private\n" +
			"Postgres and the embedded Temporal. Without a master key one is made in the data directory.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			logger := process.NewLogger(cmd.ErrOrStderr(), cfg.Log)
			stack, err := standalone.Start(cmd.Context(), cfg, programVersion(), logger)
			if err != nil {
				return err
			}
			defer stack.Stop()
			if err := stack.WriteBanner(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return err
			}
			return stack.Wait(cmd.Context())
		},
	}
	config.AddFlags(command.Flags(), config.DataDirFlags, config.APIFlags, config.OIDCFlags, config.EmbeddedTemporalFlags,
		config.TemporalFlags, config.DatabaseFlags, config.WorkerFlags, config.MasterKeyFlags)
	return command
}
