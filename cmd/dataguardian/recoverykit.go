package main

import (
	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
)

func recoveryKitCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "recovery-kit",
		Short: "Print what a restore needs when this machine is gone: keep it elsewhere",
		Long: "Print what a restore needs when this machine is gone: the key that opens the backups, and where they are.\n\n" +
			"Whoever has it can read every backup. Print it, or write it to a medium that is kept apart from the backups:\n\n" +
			"  (umask 077; dataguardian recovery-kit > /media/usb/dataguardian-recovery-kit.txt)\n\n" +
			"It reads the data directory of `up`, whether that is running or not, or DATABASE_URL with its master key.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			needs := []config.Need{}
			if cfg, err := config.Load(cmd.Flags()); err != nil {
				return err
			} else if cfg.Database.URL != "" {
				needs = append(needs, config.NeedMasterKey)
			}
			cfg, err := config.Load(cmd.Flags(), needs...)
			if err != nil {
				return err
			}
			database, closeIt, err := standalone.OpenCatalogue(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer closeIt()
			return process.WriteRecoveryKit(cmd.Context(), cmd.OutOrStdout(), database)
		},
	}
	config.AddFlags(command.Flags(), config.DataDirFlags, config.MasterKeyFlags)
	return command
}
