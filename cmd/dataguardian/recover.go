package main

import (
	"context"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/agekey"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/engine/all"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

const recoverLong = `Read backups from a storage location with the age identity alone: no platform, no catalogue, no Temporal.

The identity is the file that 'dataguardian recovery-kit' printed, or any age identity file. The storage location is a
directory, or the document that the recovery kit printed for it:

  dataguardian recover list    --storage local:/mnt/backups
  dataguardian recover verify  --storage local:/mnt/backups --identity kit.txt --full latest
  dataguardian recover dump    --storage local:/mnt/backups --identity kit.txt latest -o orders.dump
  dataguardian recover restore --storage local:/mnt/backups --identity kit.txt latest --to postgres://admin@db/orders

A bucket or an SSH server is named by its document alone, which holds the credentials: in a file that only you may read, or on
standard input. For an s3 location it may leave them out, and the AWS credentials of the environment are used:

  dataguardian recover list    --storage-config location.json
  {"type": "ssh", "config": {"host": "nas", "username": "backup", "private_key": "-----BEGIN …", "host_key": "ssh-ed25519 AAAA…", "remote_path": "/srv/backups"}}
  {"type": "s3", "config": {"bucket": "backups", "region": "eu-central-1", "prefix": "dataguardian"}}

A backup is named by its execution id, the last eight digits of it, or 'latest' (with --datasource where the storage
location holds several). Backups are only read: the disk may be mounted read-only.

Exit codes: 0 all is well, 1 it failed, 2 wrong usage, 3 a backup is damaged.`

// recoverFlags are those of every subcommand.
type recoverFlags struct {
	storage, storageConfig string
	identities             []string
	datasource             string
}

func recoverCommand() *cobra.Command {
	var flags recoverFlags
	command := &cobra.Command{
		Use:   "recover",
		Short: "List, verify, dump or restore backups from a storage location alone",
		Long:  recoverLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return badUsage(cmd, "there is no command %q", args[0])
			}
			return cmd.Help()
		},
	}
	set := command.PersistentFlags()
	set.StringVar(&flags.storage, "storage", "", "storage location: local:PATH")
	set.StringVar(&flags.storageConfig, "storage-config", "", `file with the storage location: {"type": …, "config": {…}}; - is standard input`)
	set.StringArrayVar(&flags.identities, "identity", nil, "file of age identities, or an SSH private key; may be given again; - is standard input")
	set.StringVar(&flags.datasource, "datasource", "", "name or id of the datasource whose backups are meant")
	config.AddFlags(set, config.RecoverFlags)
	command.AddCommand(recoverListCommand(&flags), recoverVerifyCommand(&flags), recoverDumpCommand(&flags), recoverRestoreCommand(&flags))
	return command
}

// open reads what the flags name. The caller calls the returned function when it is done.
func (f *recoverFlags) open(ctx context.Context, cmd *cobra.Command) (*recovery.Recovery, config.Recover, func(), error) {
	settings, err := config.LoadRecover(cmd.Flags())
	if err != nil {
		return nil, settings, nil, err
	}
	if f.storageConfig == "-" && slices.Contains(f.identities, "-") {
		return nil, settings, nil, badUsage(cmd, "--storage-config and --identity can not both be standard input")
	}
	location, err := f.location(cmd)
	if err != nil {
		return nil, settings, nil, err
	}
	var identities []agekey.Identity
	for _, path := range f.identities {
		read, err := readFile(cmd, path, agekey.ParseIdentities)
		if err != nil {
			return nil, settings, nil, failure.WithSubject(err, path)
		}
		identities = append(identities, read...)
	}
	store, err := location.Open(ctx)
	if err != nil {
		return nil, settings, nil, err
	}
	r := &recovery.Recovery{
		Store: store, Identities: agekey.Plain(identities), Engines: all.Engines(all.Options{ClientTools: settings.ClientToolsPath}),
		Say: func(format string, args ...any) { cmd.PrintErrf(format+"\n", args...) },
	}
	return r, settings, func() { _ = store.Close() }, nil
}

func (f *recoverFlags) location(cmd *cobra.Command) (recovery.Location, error) {
	switch {
	case (f.storage == "") == (f.storageConfig == ""):
		return recovery.Location{}, badUsage(cmd, "give --storage or --storage-config, one of them")
	case f.storage != "":
		location, err := recovery.ParseLocation(f.storage)
		if err != nil {
			return location, badUsage(cmd, "--storage: %s", failure.Message(err))
		}
		return location, nil
	default:
		location, err := readFile(cmd, f.storageConfig, recovery.ReadLocation)
		return location, failure.WithSubject(err, f.storageConfig)
	}
}

// readFile reads a file, or standard input for "-".
func readFile[T any](cmd *cobra.Command, path string, parse func(io.Reader) (T, error)) (T, error) {
	if path == "-" {
		return parse(cmd.InOrStdin())
	}
	file, err := os.Open(path)
	if err != nil {
		var none T
		return none, failure.Wrap(failure.ConfigInvalid, "open the file", err, "")
	}
	defer func() { _ = file.Close() }()
	return parse(file)
}

func (f *recoverFlags) ref(backup string) recovery.Ref {
	return recovery.Ref{Backup: backup, Datasource: f.datasource}
}
