package main

import (
	"context"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/api"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
)

// apiStopTimeout is how long a stopping API lets requests finish.
const apiStopTimeout = 10 * time.Second

func apiCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "api",
		Short: "Serve the REST API, against a Postgres and a Temporal of their own",
		Long:  "Serve the REST API, against a Postgres and a Temporal of their own. The database is migrated first;\nseveral that start together take turns.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags(), config.NeedDatabase, config.NeedTemporal, config.NeedMasterKey)
			if err != nil {
				return err
			}
			return serveAPI(cmd, cfg)
		},
	}
	config.AddFlags(command.Flags(), config.APIFlags, config.OIDCFlags, config.TemporalFlags, config.DatabaseFlags, config.MasterKeyFlags)
	return command
}

func serveAPI(cmd *cobra.Command, cfg *config.Config) error {
	ctx := cmd.Context()
	services, err := process.Connect(ctx, cfg, cmd.ErrOrStderr(), true)
	if err != nil {
		return err
	}
	defer services.Close()
	logger := services.Logger
	provider, err := process.OIDC(cfg.OIDC)
	if err != nil {
		return err
	}
	handler, err := api.New(api.Options{
		DB: services.DB, Temporal: services.Temporal, Namespace: cfg.Temporal.Namespace, TemporalUIURL: cfg.Temporal.UIURL,
		Version: programVersion(), Logger: logger, TrustedProxies: cfg.TrustedProxies, CORSOrigins: cfg.CORSOrigins, OIDC: provider,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return failure.Wrap(failure.ConfigInvalid, "open the port of the API", err, "Choose another address with --listen or DATAGUARDIAN_LISTEN.")
	}
	if listener, err = process.ListenTLS(listener, cfg.TLSCert, cfg.TLSKey, logger); err != nil {
		return err
	}
	defer process.StartReconciling(ctx, services.DB, services.Temporal, logger)()
	server := process.ServeHTTP(listener, handler, logger)
	logger.Info("API is serving", "address", server.Address())
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiStopTimeout)
		defer cancel()
		server.Stop(stopping)
	}()
	select {
	case <-ctx.Done():
		logger.Info("API is stopping")
		return nil
	case err := <-server.Failed():
		return err
	}
}
