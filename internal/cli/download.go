package cli

import (
	"context"
	"mime"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// backupDownloadCommand writes the plain dump of a backup to disk.
func (a *app) backupDownloadCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "download ID",
		Short: "Download its plain dump; of several streams a tar of them",
		Args:  exactly("the id of a backup"),
	}
	var to, storage string
	var part client.BackupPart
	command.Flags().StringVar(&to, "to", "", "where to write it; - is standard output; default the name that the server gives it")
	command.Flags().StringVar(&part.Stream, "stream", "", "only this stream, for example roles.sql")
	command.Flags().StringVar(&storage, "storage", "", "read the copy on this storage location, and no other, by name or id")
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) (err error) {
		if storage != "" {
			if part.StorageLocationID, err = s.idFor(ctx, "storage", storage); err != nil {
				return err
			}
		}
		answer, err := s.DownloadBackup(ctx, args[0], part, nil)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if to == "" {
			to = args[0] + ".dump"
			// Only the last part of the name: the server does not choose the directory.
			if _, disposition, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition")); err == nil && disposition["filename"] != "" {
				to = filepath.Base(disposition["filename"])
			}
		}
		return s.save(answer.Body, to)
	})
	return command
}
