package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone"
)

func recoveryKitCommand() *cobra.Command {
	var importFile string
	var addRecipients []string
	command := &cobra.Command{
		Use:   "recovery-kit",
		Short: "Print what a restore needs when this machine is gone: keep it elsewhere",
		Long: "Print what a restore needs when this machine is gone: the key that opens the backups, and where they are.\n\n" +
			"Whoever has it can read every backup. Print it, or write it to a medium that is kept apart from the backups:\n\n" +
			"  (umask 077; dataguardian recovery-kit > /media/usb/dataguardian-recovery-kit.txt)\n\n" +
			"It reads the data directory of `up`, whether that is running or not, or DATABASE_URL with its master key.\n\n" +
			"With --import-identity or --add-recipient it changes the keys and prints what it changed, not the kit.",
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
			if importFile == "" && len(addRecipients) == 0 {
				return process.WriteRecoveryKit(cmd.Context(), cmd.OutOrStdout(), database)
			}
			return changeRecoveryKeys(cmd, database, importFile, addRecipients)
		},
	}
	command.Flags().StringVar(&importFile, "import-identity", "", "recovery kit or age identity file of a lost installation, whose backups are to be read here; - is standard input")
	command.Flags().StringArrayVar(&addRecipients, "add-recipient", nil, "public key (age1…, ssh-ed25519 …) that new backups are encrypted to as well; may be given again")
	config.AddFlags(command.Flags(), config.DataDirFlags, config.MasterKeyFlags)
	return command
}

func changeRecoveryKeys(cmd *cobra.Command, database *db.DB, importFile string, recipients []string) error {
	change := func(identities io.Reader) (struct{}, error) {
		return struct{}{}, process.ChangeRecoveryKeys(cmd.Context(), cmd.OutOrStdout(), database, identities, recipients)
	}
	if importFile == "" {
		_, err := change(nil)
		return err
	}
	_, err := readFile(cmd, importFile, change)
	return err
}
