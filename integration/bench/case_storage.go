package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/remote"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/integration/bench/rival"
)

// storageCase is one place with objects of one size: a section of the report.
type storageCase struct {
	place string // as the title says it
	size  int64  // bytes of an object
	min   float64
	start func(ctx context.Context, s *suite, dir string) (*remote.Place, error)
	// rivals are compared in this order; the limits are about the first.
	rivals []copier
}

// storageCases are the sections of case storage.
func storageCases() (all []benchCase) {
	copies := []copier{{name: nameRclone}, {name: nameRcloneUnchecked, options: []string{"--ignore-checksum"}}}
	for _, c := range []storageCase{
		{place: "a local disk", min: 0.9, start: startLocal, rivals: []copier{{name: nameCopy}}},
		{place: "an SSH server", min: 0.95, start: startSSH, rivals: copies},
		{place: "an S3 server", min: 0.95, start: startS3, rivals: copies},
	} {
		for _, c.size = range []int64{4 << 20, 16 << 20} {
			all = append(all, benchCase{name: "storage", measure: c.run})
		}
	}
	return all
}

func startLocal(_ context.Context, _ *suite, dir string) (*remote.Place, error) {
	return remote.Local(dir)
}

func startSSH(ctx context.Context, _ *suite, dir string) (*remote.Place, error) {
	return remote.SSH(ctx, dir)
}

func startS3(ctx context.Context, s *suite, dir string) (*remote.Place, error) {
	if s.gateway == (peer{}) {
		s.gateway = s.build(ctx, rival.ServersModule, rival.GatewayPackage)
	}
	if s.gateway.missing != "" {
		return nil, errors.New(s.gateway.missing)
	}
	return remote.S3(ctx, s.gateway.program, dir)
}

func (c storageCase) run(ctx context.Context, s *suite, section *report.Section) error {
	section.Title = fmt.Sprintf("storage: %d MiB objects on %s", c.size>>20, c.place)
	section.About = fmt.Sprintf("%s of random bytes in files of %d MiB, all of them put, and got into files again. "+
		"Client and server share this machine. Every program checks what it does by default: rclone compares the checksum of every object, for which an SSH server "+
		"reads it once more; DataGuardian's store compares lengths, because what is in an object is checked by the archive.",
		s.transferSize.String(), c.size>>20)
	section.Commands = storageCommands(c.rivals)
	dir := s.freshDir("storage")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	place, err := c.start(ctx, s, dir)
	if err != nil {
		return c.notStarted(section, err)
	}
	defer place.Stop()
	t := transfers{s: s, place: place, source: filepath.Join(dir, "source"), target: filepath.Join(dir, "target")}
	var contestants []contestant
	for _, rival := range c.rivals {
		contestants = append(contestants, t.rivalPut(rival))
	}
	contestants = append(contestants, t.put())
	for _, rival := range c.rivals {
		contestants = append(contestants, t.rivalGet(rival))
	}
	contestants = append(contestants, t.get())
	n := len(c.rivals) + 1 // what is behind that gets
	return comparison{
		prepare:     func(context.Context) error { return makeObjects(t.source, int64(s.transferSize), c.size) },
		contestants: contestants,
		limits: func() []report.Limit {
			return []report.Limit{
				report.RateRatio(contestants[n-1].series, contestants[0].series, c.min),
				report.RateRatio(contestants[2*n-1].series, contestants[n].series, c.min),
			}
		},
	}.run(ctx, s, section)
}

// notStarted leaves the limits not measured where the server could not be had.
func (c storageCase) notStarted(section *report.Section, err error) error {
	for _, way := range []string{" put", " get"} {
		ours, theirs := &measure.Series{Name: nameDataGuardian + way, Missing: err.Error()}, &measure.Series{Name: c.rivals[0].name + way, Missing: err.Error()}
		section.Series = append(section.Series, theirs, ours)
		section.Limits = append(section.Limits, report.RateRatio(ours, theirs, c.min))
	}
	return nil
}

// makeObjects fills a directory with files of random bytes; the last one may be smaller.
func makeObjects(dir string, total, size int64) error {
	say("making %d MB of random files", total/1e6)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for i := int64(0); i*size < total; i++ {
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("object-%05d", i)))
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		_, err = io.CopyN(file, rand.Reader, min(size, total-i*size))
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return nil
}

// rclonePath finds rclone, or says why it is missing.
func rclonePath() peer {
	program, err := exec.LookPath("rclone")
	if err != nil {
		return peer{missing: "rclone is not installed: " + err.Error()}
	}
	return peer{program: program}
}
