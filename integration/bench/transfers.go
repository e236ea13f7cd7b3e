package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/remote"
	"github.com/dataguardian/dataguardian/integration/bench/transfer"
)

const (
	nameCopy            = "cp -r"
	nameRclone          = "rclone"
	nameRcloneUnchecked = "rclone --ignore-checksum"
)

// copier is a program that DataGuardian's store is compared with.
type copier struct {
	name    string
	options []string // of rclone
	limits  bool     // DataGuardian is judged by it
}

func storageCommands(rivals []copier) []string {
	var commands []string
	for _, c := range rivals {
		if c.name == nameCopy {
			commands = append(commands, "cp -r <directory> <copy>; sync -f <copy>  # and back")
			continue
		}
		commands = append(commands, fmt.Sprintf("%s copy --transfers %d <directory> <remote>; sync -f <server's directory>  # and back; sync -f <directory>", c.name, transfer.AtOnce))
	}
	return append(commands, fmt.Sprintf("bench transfer put|get <location> <directory>  # DataGuardian's store, %d objects at once, then Sync", transfer.AtOnce))
}

// transfers are the ways to fill a place from a directory, and a directory from a place.
type transfers struct {
	s              *suite
	place          *remote.Place
	source, target string // directories
}

// contestant moves files into the directory into, which is made empty before.
func (t transfers) contestant(name, missing, into string, p measure.Pipeline) contestant {
	return contestant{
		series: &measure.Series{Name: name, Missing: missing},
		ready:  func(context.Context) error { return remote.Empty(into) },
		run: func(ctx context.Context) (measure.Run, error) {
			r, err := p.Run(ctx, os.DevNull)
			if err != nil {
				return r, err
			}
			files, err := measure.Files(into)
			r.Stored = measure.Grown(nil, files)
			return r, err
		},
	}
}

// put is DataGuardian's. It makes durable by itself what it stores, but a server that says nothing of
// that, as one of S3, is flushed behind it as behind rclone.
func (t transfers) put() contestant {
	p := measure.Pipeline{Commands: [][]string{append([]string{t.s.self}, transfer.PutArguments(t.place.Location, t.source)...)}}
	if !t.place.Syncs {
		p.Durable = t.place.Objects
	}
	return t.contestant(nameDataGuardian+" put", t.place.Missing, t.place.Objects, p)
}

func (t transfers) get() contestant {
	return t.contestant(nameDataGuardian+" get", t.place.Missing, t.target, measure.Pipeline{
		Commands: [][]string{append([]string{t.s.self}, transfer.GetArguments(t.place.Location, t.target)...)}, Durable: t.target,
	})
}

func (t transfers) rivalPut(c copier) contestant {
	return t.rival(c, " put", t.source, t.place.Rclone, t.place.Copies, t.place.Copies)
}

func (t transfers) rivalGet(c copier) contestant {
	return t.rival(c, " get", t.place.Rclone, t.target, t.place.Copies, t.target)
}

// rival copies from one side to the other, of which one is rclone's remote; on a local disk, where there
// is none, that is the directory stored. into is the directory that gets the files.
func (t transfers) rival(c copier, way, from, to, stored, into string) contestant {
	if c.name == nameCopy {
		if from == "" {
			from = stored
		} else {
			to = stored
		}
		return t.contestant(c.name+way, "", into, measure.Pipeline{Commands: [][]string{{"cp", "-r", from + "/.", to}}, Durable: into})
	}
	rclone := rclonePath()
	command := append([]string{rclone.program, "copy", "--transfers", fmt.Sprint(transfer.AtOnce), "--retries", "1", from, to}, slices.Concat(c.options, t.place.Options)...)
	// A machine's own certificates for AWS are not this server's, and make this rclone give up.
	environment := []string{"RCLONE_CONFIG=" + t.place.Config, "AWS_CA_BUNDLE="}
	made := t.contestant(c.name+way, rclone.missing, into, measure.Pipeline{
		Commands: [][]string{command}, Environment: environment, Durable: into,
	})
	made.rival = true
	return made
}
