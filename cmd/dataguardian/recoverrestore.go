package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

func recoverRestoreCommand(flags *recoverFlags) *cobra.Command {
	var to, passwordFile string
	var opts recovery.RestoreOptions
	command := &cobra.Command{
		Use:   "restore BACKUP --to URL | sqlite:FILE | files:FOLDER | dir:FOLDER",
		Short: "Restore a backup into a database, or its plain files into a folder",
		Long: "Restore a backup into a database, or its plain files into a folder.\n\n" +
			"The backup is read end to end and checked before the first write. A database is loaded beside the target and swapped in;\n" +
			"a folder appears when it is whole. The password of the database is PGPASSWORD, or in the file of --password-file.",
		Args: exactly(1, "one backup: an execution id, its last eight digits, or latest"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return badUsage(cmd, "--to is missing; give a URL such as postgres://USER@HOST/DATABASE, or sqlite:FILE, files:FOLDER or dir:FOLDER")
			}
			r, settings, done, err := flags.open(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer done()
			password := settings.Password.Reveal()
			if passwordFile != "" {
				if password, err = readFile(cmd, passwordFile, readPassword); err != nil {
					return failure.WithSubject(err, passwordFile)
				}
			}
			target, err := recovery.ParseTarget(to, password)
			if err != nil {
				return badUsage(cmd, "--to: %s", failure.Message(err))
			}
			backup, err := r.Find(cmd.Context(), flags.ref(args[0]))
			if err != nil {
				return err
			}
			if err := r.Restore(cmd.Context(), backup, target, opts); err != nil {
				return dropHint(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "restored %s of %s\n", backup.Manifest.ExecutionID, backup.Manifest.DatasourceName)
			return err
		},
	}
	command.Flags().StringVar(&to, "to", "", "target: postgres://USER@HOST/DATABASE?sslmode=… (or mysql, mariadb, mongodb, sqlserver), sqlite:FILE, files:FOLDER, or dir:FOLDER for the plain files")
	command.Flags().StringVar(&passwordFile, "password-file", "", "file that holds the password of the target, and nothing else [PGPASSWORD]")
	command.Flags().BoolVar(&opts.DropExisting, "drop-existing", false, "replace a target that is not empty")
	command.Flags().StringArrayVar(&opts.Databases, "database", nil, "backup of a whole server: restore this database; may be given again (default: all of them)")
	command.Flags().StringArrayVar(&opts.IncludeTables, "table", nil, "restore this table or collection into a new or empty database (* stands for any text); may be given again (default: everything)")
	command.Flags().StringArrayVar(&opts.IncludePaths, "path", nil, "files backup: restore this file or directory; may be given again (default: everything)")
	return command
}

// readPassword reads the first line of a file.
func readPassword(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), failure.Wrap(failure.ConfigInvalid, "read the password", err, "")
}

// dropHint names the flag where the engine's hint names the API's field.
func dropHint(err error) error {
	hint := failure.HintOf(err)
	if !strings.Contains(hint, "drop_existing") {
		return err
	}
	hint = strings.NewReplacer("Set drop_existing", "Give --drop-existing", "target_database", "database in --to").Replace(hint)
	return &failure.Error{Class: failure.ClassOf(err), Hint: hint, Cause: err}
}
