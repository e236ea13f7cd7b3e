package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

func recoverListCommand(flags *recoverFlags) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "list",
		Short: "List the backups on a storage location, damaged ones with the reason",
		Long:  "List the backups on a storage location, damaged ones with the reason. It needs no identity; with one it also finds manifests that were changed.",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return badUsage(cmd, "--output is %q; give table or json", output)
			}
			r, _, done, err := flags.open(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer done()
			entries, err := r.List(cmd.Context(), flags.datasource)
			if err != nil {
				return err
			}
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(entries)
			}
			return printEntries(cmd.OutOrStdout(), entries, flags.datasource)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return command
}

func printEntries(out io.Writer, entries []recovery.Entry, datasource string) error {
	if len(entries) == 0 && datasource != "" {
		_, err := fmt.Fprintf(out, "There is no backup of a datasource %q on this storage location. Without --datasource all are listed.\n", datasource)
		return err
	}
	if len(entries) == 0 {
		_, err := fmt.Fprintln(out, "There is no backup on this storage location.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "STARTED\tDATASOURCE\tTYPE\tKIND\tBYTES\tBACKUP\tSTATE")
	for _, e := range entries {
		state := "encrypted"
		if len(e.Recipients) == 0 {
			state = "not encrypted"
		}
		if e.Problem != "" {
			state = "NOT READABLE: " + e.Problem
		}
		id := e.ExecutionID
		if id == "" {
			id = e.Manifest
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n",
			e.StartedAt.UTC().Format(time.DateTime), e.DatasourceName, e.DatasourceType, e.BackupType, e.SizeBytes, id, state)
	}
	return w.Flush()
}

func recoverVerifyCommand(flags *recoverFlags) *cobra.Command {
	var full bool
	command := &cobra.Command{
		Use:   "verify [BACKUP]",
		Short: "Check one backup, or all of them; --full reads every byte back",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return badUsage(cmd, "give one backup, or none for all of them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, done, err := flags.open(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer done()
			if len(args) == 1 {
				return verifyOne(cmd, r, flags.ref(args[0]), full)
			}
			return verifyAll(cmd, r, flags.datasource, full)
		},
	}
	command.Flags().BoolVar(&full, "full", false, "read everything back: hash, decrypt, decompress, list; needs --identity for encrypted backups")
	return command
}

// verifyAll goes on after a bad backup. Damage decides the exit code over any other failure.
func verifyAll(cmd *cobra.Command, r *recovery.Recovery, datasource string, full bool) error {
	entries, err := r.List(cmd.Context(), datasource)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return failure.New(failure.NotFound, "verify", "there is no backup on this storage location", "")
	}
	var failed, damaged error
	bad := 0
	for _, e := range entries {
		if err := verifyEntry(cmd, r, e, full); err != nil {
			bad++
			cmd.PrintErrf("BAD  %s: %s\n", e.Manifest, failure.Redact(failure.Message(err)))
			if failure.ClassOf(err) == failure.Corrupt {
				damaged = err
			}
			failed = err
		}
		if err := cmd.Context().Err(); err != nil {
			return err
		}
	}
	if failed == nil {
		return nil
	}
	if damaged != nil {
		failed = damaged
	}
	return failure.New(failure.ClassOf(failed), "verify", fmt.Sprintf("%d of %d backups are not good", bad, len(entries)), "")
}

func verifyEntry(cmd *cobra.Command, r *recovery.Recovery, e recovery.Entry, full bool) error {
	if e.ExecutionID == "" {
		return failure.New(failure.Corrupt, "verify", e.Problem, "")
	}
	return verifyOne(cmd, r, recovery.Ref{Backup: e.ExecutionID, Datasource: e.DatasourceID}, full)
}

func verifyOne(cmd *cobra.Command, r *recovery.Recovery, ref recovery.Ref, full bool) error {
	backup, err := r.Find(cmd.Context(), ref)
	if err != nil {
		return err
	}
	checked, err := r.Verify(cmd.Context(), backup, full)
	if err != nil {
		return failure.WithSubject(err, "backup "+backup.Manifest.ExecutionID)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "good %s: %d objects, %d bytes\n", checked.ExecutionID, checked.Objects, checked.Bytes)
	for _, note := range checked.Notes {
		cmd.PrintErrf("     %s\n", note)
	}
	return err
}

func recoverDumpCommand(flags *recoverFlags) *cobra.Command {
	var stream, file string
	var force bool
	command := &cobra.Command{
		Use:   "dump BACKUP",
		Short: "Write the plain dump of a backup to a file, or to standard output",
		Args:  exactly(1, "one backup: an execution id, its last eight digits, or latest"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" && isatty.IsTerminal(os.Stdout.Fd()) {
				return badUsage(cmd, "a dump is not written to a terminal; give -o FILE, or pipe it")
			}
			r, _, done, err := flags.open(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer done()
			backup, err := r.Find(cmd.Context(), flags.ref(args[0]))
			if err != nil {
				return err
			}
			n, err := dumpTo(cmd, r, backup, stream, file, force)
			if err != nil {
				return err
			}
			cmd.PrintErrf("%s: %d bytes\n", backup.Manifest.ExecutionID, n)
			return nil
		},
	}
	command.Flags().StringVar(&stream, "stream", "", "stream to write, where the backup has several")
	command.Flags().StringVarP(&file, "output", "o", "", "file to write; it appears when it is whole")
	command.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return command
}

func dumpTo(cmd *cobra.Command, r *recovery.Recovery, b recovery.Backup, stream, file string, force bool) (int64, error) {
	if file != "" {
		return r.DumpToFile(cmd.Context(), b, stream, file, force)
	}
	n, err := r.Dump(cmd.Context(), b, stream, cmd.OutOrStdout())
	if errors.Is(err, os.ErrClosed) {
		err = failure.New(failure.Unknown, "dump", "standard output is closed", "")
	}
	return n, err
}
