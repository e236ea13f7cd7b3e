package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

func (a *app) restoreCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "restore ID",
		Short: "Restore a backup, or prove that it restores",
		Long: "Restore a backup, or prove with --verify that it restores. A restore is confirmed by a phrase that names the target; it is\n" +
			"asked for, or given as --confirm \"RESTORE name\" (\"VERIFY RESTORE\" with --verify).",
		Args: exactly("the id of a backup"),
	}
	fields := []field{
		{flag: "target", path: "target_datasource_id", usage: "the datasource to restore into, by name or id", of: "datasource"},
		{flag: "database", path: "target_database", usage: "the database, file or directory that is restored; default the target's own"},
		{flag: "drop-existing", path: "drop_existing", usage: "replace what is there", kind: boolField},
		{flag: "storage", path: "storage_location_id", usage: "read the copy on this storage location, and no other", of: "storage"},
		{flag: "verify", path: "verification_mode", usage: "restore into a temporary database, check it, drop it", kind: boolField},
		{flag: "keep", path: "keep_verification_database", usage: "with --verify: do not drop it", kind: boolField},
		{flag: "include-path", path: "include_paths", usage: "files backups: only this file or directory", kind: listField},
		{flag: "databases", path: "databases", usage: "backups of a whole server: only this database", kind: listField},
		{flag: "idle-timeout", path: "idle_timeout_minutes", usage: "minutes that the load may take no byte; default the backup's", kind: intField},
		{flag: "jobs", path: "parallel_jobs", usage: "tables that are loaded at the same time", kind: intField},
	}
	for _, f := range fields {
		f.add(command, a)
	}
	documents := addDocumentFlags(command, fields)
	var confirm string
	var wait bool
	addApprovalFlag(command)
	command.Flags().StringVar(&confirm, "confirm", "", "the phrase that confirms it")
	command.Flags().BoolVar(&wait, "wait", false, "follow it to its end, and fail when it fails")
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		body, err := documents.document(command, func(f field, name string) (any, error) { return s.idFor(ctx, f.of, name) })
		if err != nil {
			return err
		}
		if err := s.confirmRestore(ctx, body, confirm); err != nil {
			return err
		}
		answer, err := s.Do(approved(ctx, command), client.Call{Method: http.MethodPost, Path: "/api/backups/" + url.PathEscape(args[0]) + "/restore", Body: body})
		if err != nil {
			return err
		}
		if wait {
			return s.follow(ctx, answer)
		}
		return s.printer.one(answer)
	})
	return command
}

// confirmRestore puts the phrase into the request: the one that was given, the one in the file, or the one that a person
// types after being shown what they would replace.
func (s *session) confirmRestore(ctx context.Context, body map[string]any, given string) error {
	if given != "" {
		body["confirmation_phrase"] = given
	}
	target, _ := body["target_datasource_id"].(string)
	if target == "" {
		return BadUsage(s.cmd, "give --target, the datasource to restore into")
	}
	if body["confirmation_phrase"] != nil {
		return nil
	}
	phrase := client.ConfirmVerify
	if verify, _ := body["verification_mode"].(bool); !verify {
		phrase = client.ConfirmRestore(s.nameFor(ctx, "datasource", target))
	}
	if !onTerminal(s.cmd) {
		return BadUsage(s.cmd, "nobody can be asked here to confirm the restore; give --confirm %q", phrase)
	}
	answer, err := ask(s.cmd, fmt.Sprintf("Type %q to go on: ", clean(phrase)), false)
	if err != nil {
		return err
	}
	if answer != phrase {
		return failed("not confirmed; nothing was done")
	}
	body["confirmation_phrase"] = phrase
	return nil
}

// downloadCommand writes a file of a storage location to disk.
func (a *app) downloadCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "download NAME|ID PATH",
		Short: "Download a file, or a folder (its path ends in /) as a zip",
		Args:  exactly("the name or id of a storage location", "a path"),
	}
	var to string
	command.Flags().StringVar(&to, "to", "", "where to write it; - is standard output; default the file's own name")
	command.ValidArgsFunction = a.completeNames("storage")
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		id, err := s.idFor(ctx, "storage", args[0])
		if err != nil {
			return err
		}
		answer, err := s.Download(ctx, id, args[1], nil)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if to == "" {
			if to = filepath.Base(args[1]); args[1] == "" || args[1][len(args[1])-1] == '/' {
				to += ".zip"
			}
		}
		return s.save(answer.Body, to)
	})
	return command
}

// save writes a download beside its place, and moves it there when it is whole. What exists is not overwritten.
func (s *session) save(from io.Reader, to string) error {
	if to == "-" {
		_, err := io.Copy(s.cmd.OutOrStdout(), from)
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return Error{fmt.Errorf("%s exists; give another place with --to", to), exitUsage}
	}
	partial, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-*")
	if err != nil {
		return fmt.Errorf("write the download: %w", err)
	}
	_, err = io.Copy(partial, from)
	if closing := partial.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Link(partial.Name(), to) // unlike a rename, it does not overwrite
	}
	if removing := os.Remove(partial.Name()); err == nil {
		err = removing
	}
	if err != nil {
		return fmt.Errorf("the download broke off: %w", err)
	}
	return nil
}
