package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
)

func migrateCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this program's schema (`api` and `up` do it by themselves)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags(), config.NeedDatabase)
			if err != nil {
				return err
			}
			if err := db.Migrate(cmd.Context(), cfg.Database.URL.Reveal()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The database has the schema of this program.")
			return err
		},
	}
	return command
}
