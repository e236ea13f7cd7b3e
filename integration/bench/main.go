// Command bench measures a backup by DataGuardian against what pg_dump needs alone and against the
// shell pipeline that does the same work (compress, encrypt, write), all in one run on one machine:
// `make bench`. It writes a report in Markdown and ends with 1 when a limit does not hold.
//
// Everything it starts (Postgres, `dataguardian up`, one `dataguardian worker` that does the
// measured backups) lives below a temporary directory and on free ports, and is ended at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	scale, repetitions int
	binary, report     string
	workDir            string
	noFail             bool
}

func main() {
	var o options
	flag.IntVar(&o.scale, "scale", 50, "scale of the pgbench database; 50 is about 750 MB")
	flag.IntVar(&o.repetitions, "repetitions", 3, "rounds that count; one more before them does not")
	flag.StringVar(&o.binary, "binary", "bin/dataguardian", "the built program")
	flag.StringVar(&o.report, "report", "docs/benchmarks.md", "where the report goes; empty prints it only")
	flag.StringVar(&o.workDir, "work-dir", "", "directory for all data, on the disk that is to be measured; default a temporary one")
	flag.BoolVar(&o.noFail, "no-fail", false, "end with 0 even where a limit does not hold")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// errLimit is what ends the program with 1 after a report was written.
var errLimit = errors.New("bench: a limit does not hold")

func (o options) run(ctx context.Context) (err error) {
	if o.scale < 1 || o.repetitions < 1 {
		return errors.New("bench: -scale and -repetitions must be at least 1")
	}
	loadBefore := load()
	dir, err := os.MkdirTemp(o.workDir, "dataguardian-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// As root, Postgres runs as another user, who must get in.
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("bench: %w", err)
	}

	database, err := startDatabase(ctx, filepath.Join(dir, "postgres"))
	if err != nil {
		return err
	}
	defer database.stop()
	say("pgbench -i -s %d", o.scale)
	if err := database.fill(ctx, o.scale); err != nil {
		return err
	}
	say("starting %s", o.binary)
	platform, err := startPlatform(ctx, o.binary, dir, database)
	if err != nil {
		return err
	}
	defer platform.stop()

	r, err := o.measure(ctx, dir, database, platform)
	if err != nil {
		return err
	}
	r.Load = loadBefore
	if err := o.publish(r); err != nil {
		return err
	}
	if broken := r.broken(); len(broken) > 0 {
		say("limit broken: %s", strings.Join(broken, "; "))
		if !o.noFail {
			return fmt.Errorf("%w: %s", errLimit, strings.Join(broken, "; "))
		}
	}
	return nil
}

// measure runs the three by turns, so that whatever else the machine does hits all of them. The
// first round warms the page cache and is forgotten.
func (o options) measure(ctx context.Context, dir string, database *database, platform *platform) (result, error) {
	r := result{
		Command: fmt.Sprintf("go run ./integration/bench -scale %d -repetitions %d", o.scale, o.repetitions), Scale: o.scale, Repetitions: o.repetitions, Machine: machine(),
		Dump: contestant{Name: "pg_dump alone"}, Shell: contestant{Name: "shell pipeline"}, Platform: contestant{Name: "DataGuardian"},
	}
	var err error
	if r.Database, r.Versions, err = database.facts(ctx); err != nil {
		return r, err
	}
	recipient, err := newRecipient()
	if err != nil {
		return r, err
	}
	file := filepath.Join(dir, "pipeline.age")
	contestants := []struct {
		into *contestant
		run  func() (measurement, error)
	}{
		{&r.Dump, func() (measurement, error) { return dumpOnly(database.tools, database.address).run(ctx, os.DevNull) }},
		{&r.Shell, func() (measurement, error) {
			return shellPipeline(database.tools, database.address, recipient).run(ctx, file)
		}},
		{&r.Platform, func() (measurement, error) { return platform.backUp(ctx) }},
	}
	for round := range o.repetitions + 1 {
		for _, c := range contestants {
			m, err := c.run()
			if err != nil {
				return r, err
			}
			note := ""
			if round == 0 {
				note = " (warm-up)"
			} else {
				c.into.runs = append(c.into.runs, m)
			}
			say("round %d, %-14s wall %s, CPU %s, peak RSS %s, stored %s%s", round, c.into.Name,
				seconds(m.Wall), seconds(m.CPU), mib(m.PeakRSS), mib(m.Stored), note)
		}
	}
	return r, nil
}

// publish prints the report and writes it to its file.
func (o options) publish(r result) error {
	var text strings.Builder
	if err := r.write(&text); err != nil {
		return fmt.Errorf("bench: write the report: %w", err)
	}
	fmt.Print(text.String())
	if o.report == "" {
		return nil
	}
	if err := os.WriteFile(o.report, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("bench: write the report: %w", err)
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
