package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/worker"
)

func workerCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "worker",
		Short: "Run backups and restores of one or more pools",
		Long: "Run backups and restores of one or more pools. Start as many workers as you like, on any machine that\n" +
			"reaches Postgres, Temporal, and the datasources and storage locations of its pools.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags(), config.NeedDatabase, config.NeedTemporal, config.NeedMasterKey)
			if err != nil {
				return err
			}
			return runWorker(cmd, cfg)
		},
	}
	config.AddFlags(command.Flags(), config.WorkerFlags, config.TemporalFlags, config.DatabaseFlags, config.MasterKeyFlags)
	command.AddCommand(workerCheckCommand())
	return command
}

// checkTimeout bounds `worker check`: whoever asks wants an answer, not patience.
const checkTimeout = 10 * time.Second

func workerCheckCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "check",
		Short: "Succeed if a worker on this host asks Temporal for work, for health checks of containers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags(), config.NeedTemporal)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
			defer cancel()
			temporal, err := process.DialTemporal(ctx, cfg.Temporal, process.NewLogger(cmd.ErrOrStderr(), cfg.Log))
			if err != nil {
				return err
			}
			defer temporal.Close()
			return process.CheckPolling(ctx, temporal, cfg.Worker.Pools)
		},
	}
	config.AddFlags(command.Flags(), config.WorkerFlags, config.TemporalFlags)
	return command
}

func runWorker(cmd *cobra.Command, cfg *config.Config) error {
	ctx := cmd.Context()
	process.LimitMemory(cfg.Worker)
	process.ReleasePages()
	services, err := process.Connect(ctx, cfg, cmd.ErrOrStderr(), false)
	if err != nil {
		return err
	}
	defer services.Close()
	w, err := worker.New(worker.Options{
		DB: services.DB, Temporal: services.Temporal, Pools: cfg.Worker.Pools, Slots: cfg.Worker.Slots,
		ClientToolsPath: cfg.Worker.ClientToolsPath, HookCommands: cfg.Worker.HookCommands, TemporalUIURL: cfg.Temporal.UIURL, Namespace: cfg.Temporal.Namespace, Logger: services.Logger,
		DataListen: cfg.Worker.DataListen, DataURL: cfg.Worker.DataURL,
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}
