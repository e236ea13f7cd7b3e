package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
)

func rekeyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "rekey",
		Short: "Seal every secret of the catalogue under a new master key",
		Long: "Seal every secret of the catalogue under a new master key, in one transaction. Stop `api` and every `worker` first.\n\n" +
			"With DATABASE_URL: the key now is DATAGUARDIAN_MASTER_KEY or DATAGUARDIAN_MASTER_KEY_FILE, the new one DATAGUARDIAN_NEW_MASTER_KEY.\n" +
			"Without: the data directory of `up` is changed, its key file too (the old one is kept as master.key.old). A key is made if DATAGUARDIAN_NEW_MASTER_KEY is not set.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			if cfg.Database.URL == "" {
				count, err := standalone.Rekey(cmd.Context(), cfg)
				return reportRekey(cmd, count, err)
			}
			if cfg, err = config.Load(cmd.Flags(), config.NeedMasterKey, config.NeedNewMasterKey); err != nil {
				return err
			}
			count, err := rekeyExternal(cmd, cfg)
			return reportRekey(cmd, count, err)
		},
	}
	config.AddFlags(command.Flags(), config.DataDirFlags, config.MasterKeyFlags)
	return command
}

func rekeyExternal(cmd *cobra.Command, cfg *config.Config) (int, error) {
	now, err := process.MasterKey(cfg.MasterKey)
	if err != nil {
		return 0, err
	}
	next, err := db.ParseMasterKey(cfg.MasterKey.New.Reveal())
	if err != nil {
		return 0, failure.Wrap(failure.ConfigInvalid, "read DATAGUARDIAN_NEW_MASTER_KEY", err, "")
	}
	return db.Rekey(cmd.Context(), cfg.Database.URL.Reveal(), now, next)
}

func reportRekey(cmd *cobra.Command, count int, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Secrets sealed under the new master key: %d. Keep the old one for old copies of the database.\n", count)
	return err
}
