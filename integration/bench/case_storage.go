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
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
	"github.com/dataguardian/dataguardian/integration/bench/remote"
	"github.com/dataguardian/dataguardian/integration/bench/report"
	"github.com/dataguardian/dataguardian/integration/bench/rival"
)

// storageCase is one place with objects of one size: a section of the report.
type storageCase struct {
	place  string // as the title says it
	size   int64  // bytes of an object
	min    float64
	start  func(ctx context.Context, s *suite, dir string) (*remote.Place, error)
	rivals []copier
}

// storageCases are the sections of case storage.
func storageCases() (all []benchCase) {
	rclone, unchecked := copier{name: nameRclone, limits: true}, copier{name: nameRcloneUnchecked, options: []string{"--ignore-checksum"}}
	// For each checksum rclone starts a shell on the SSH server: that alone would be easily beaten.
	uncheckedLimits := unchecked
	uncheckedLimits.limits = true
	for _, c := range []storageCase{
		{place: "a local disk", min: 0.9, start: startLocal, rivals: []copier{{name: nameCopy, limits: true}}},
		{place: "an SSH server", min: 0.95, start: startSSH, rivals: []copier{rclone, uncheckedLimits}},
		{place: "an S3 server", min: 0.95, start: startS3, rivals: []copier{rclone, unchecked}},
	} {
		for _, c.size = range []int64{4 << 20, 16 << 20} {
			all = append(all, benchCase{name: "storage", measure: c.run})
		}
	}
	return all
}

const aboutRclone = ` Client and server share this machine. rclone compares the checksum of every object unless told otherwise, for
which an SSH server reads it once more; DataGuardian's store compares lengths there, because the archive checks what is in an object.`

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
	section.About = fmt.Sprintf("%s of random bytes in files of %d MiB, all of them put, and got into files again.", s.transferSize.String(), c.size>>20)
	if c.rivals[0].name == nameRclone {
		section.About += aboutRclone + rcloneVersion(ctx)
	}
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
	var puts, gets []contestant
	for _, rival := range c.rivals {
		puts, gets = append(puts, t.rivalPut(rival)), append(gets, t.rivalGet(rival))
	}
	put, get := t.put(), t.get()
	return comparison{
		prepare: func(context.Context) error { return makeObjects(t.source, int64(s.transferSize), c.size) },
		// Puts come first: the first round begins with them, and gets read what they left.
		contestants: slices.Concat(puts, []contestant{put}, gets, []contestant{get}),
		limits:      func() []report.Limit { return append(c.limits(put, puts), c.limits(get, gets)...) },
	}.run(ctx, s, section)
}

// limits of DataGuardian beside those of its rivals that are in the same order as c.rivals.
func (c storageCase) limits(guardian contestant, rivals []contestant) (limits []report.Limit) {
	for i, rival := range rivals {
		if c.rivals[i].limits {
			limits = append(limits, report.RateRatio(guardian.series, rival.series, c.min))
		}
	}
	return limits
}

// notStarted leaves the limits not measured where the server could not be had.
func (c storageCase) notStarted(section *report.Section, err error) error {
	missing := func(name string) contestant {
		return contestant{series: &measure.Series{Name: name, Missing: err.Error()}}
	}
	for _, way := range []string{" put", " get"} {
		ours := missing(nameDataGuardian + way)
		var theirs []contestant
		for _, rival := range c.rivals {
			theirs = append(theirs, missing(rival.name+way))
			section.Series = append(section.Series, theirs[len(theirs)-1].series)
		}
		section.Series = append(section.Series, ours.series)
		section.Limits = append(section.Limits, c.limits(ours, theirs)...)
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

func rcloneVersion(ctx context.Context) string {
	output, err := exec.CommandContext(ctx, "rclone", "version").Output()
	if err != nil {
		return "" // the table says why
	}
	line, _, _ := strings.Cut(string(output), "\n")
	return " Measured with " + strings.TrimSpace(line) + "."
}
