// Command bench measures DataGuardian against restic, kopia, the shell pipeline that does the same
// work, and the limits that the machine sets (pg_dump alone, pg_restore alone, the disk), and its
// stores against cp and rclone, all in one
// run on one machine: `make bench`. It writes a report in Markdown and ends with 1 when a limit does
// not hold.
//
// Everything it starts (two Postgres servers, `dataguardian up`, one `dataguardian worker` that does
// the measured work) lives below a temporary directory and on free ports, and is ended at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dataguardian/dataguardian/integration/bench/bare"
	"github.com/dataguardian/dataguardian/integration/bench/transfer"
)

// options are the command line.
type options struct {
	cases                          string
	size, incompressible, longSize byteSize
	transferSize, mariadbSize      byteSize
	scale, repetitions, jobs       int
	scheduledJobs, scheduledDue    int
	binary, report                 string
	workDir, peersDir              string
	noFail, allowUnmeasured        bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		stop()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 0 && arguments[0] == bare.Command {
		return bare.Main(ctx, arguments[1:])
	}
	if len(arguments) > 0 && arguments[0] == transfer.Command {
		return transfer.Main(ctx, arguments[1:])
	}
	o := options{size: 2 * gigabyte, incompressible: 2 * gigabyte, longSize: 20 * gigabyte, transferSize: gigabyte, mariadbSize: gigabyte}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.cases, "cases", defaultCases(), "cases to run, of "+allCases())
	flags.Var(&o.size, "size", "size of the dump of the shop database")
	flags.Var(&o.incompressible, "incompressible-size", "size of the dump of case incompressible")
	flags.Var(&o.longSize, "long-size", "size of the dump of case long, of which one run is made")
	flags.Var(&o.transferSize, "transfer-size", "bytes that case storage puts and gets")
	flags.Var(&o.mariadbSize, "mariadb-size", "size of the dump of case mariadb")
	flags.IntVar(&o.scale, "scale", 50, "scale of the pgbench database; 50 is about 750 MB")
	flags.IntVar(&o.repetitions, "repetitions", 3, "rounds that count, of case pgbench at least 15; one more before them does not")
	flags.IntVar(&o.jobs, "jobs", 2, "parallel jobs of case restore")
	flags.IntVar(&o.scheduledJobs, "scheduled-jobs", 10_000, "jobs that case schedules makes")
	flags.IntVar(&o.scheduledDue, "scheduled-due", 1000, "of these, how many are due at one minute")
	flags.StringVar(&o.binary, "binary", "bin/dataguardian", "the built program")
	flags.StringVar(&o.report, "report", "", "file that the report goes to; empty prints it only")
	flags.StringVar(&o.workDir, "work-dir", "", "directory for all data, on the disk that is to be measured; default a temporary one")
	flags.StringVar(&o.peersDir, "peers-dir", "bin/peers", "directory that restic and kopia are built into")
	flags.BoolVar(&o.noFail, "no-fail", false, "end with 0 even where a limit does not hold")
	flags.BoolVar(&o.allowUnmeasured, "allow-unmeasured", false, "end with 0 where a limit could not be measured, as without restic")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if o.scale < 1 || o.repetitions < 1 || o.jobs < 1 {
		return errors.New("bench: -scale, -repetitions and -jobs must be at least 1")
	}
	return o.run(ctx, "go run ./integration/bench "+strings.Join(arguments, " "))
}

// errLimit is what ends the program with 1 after a report was written.
var errLimit = errors.New("bench: a limit does not hold")

func (o options) run(ctx context.Context, command string) (err error) {
	chosen, err := chooseCases(o.cases)
	if err != nil {
		return err
	}
	s, err := newSuite(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	page := s.page(command)
	for _, c := range chosen {
		say("case %s", c.name)
		section := c.run(ctx, s)
		if section.Failed != "" {
			say("case %s failed: %s", c.name, section.Failed)
		}
		page.Sections = append(page.Sections, section)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// After every case: what hours have measured is not lost with the next one.
		if err := o.publish(page.Markdown()); err != nil {
			return err
		}
	}
	fmt.Print(string(page.Markdown()))
	broken := page.Broken()
	if unmeasured := page.Unmeasured(); o.allowUnmeasured {
		for _, line := range unmeasured {
			say("allowed: %s", line)
		}
	} else {
		broken = append(broken, unmeasured...)
	}
	for _, line := range broken {
		say("does not hold: %s", line)
	}
	if len(broken) > 0 && !o.noFail {
		return fmt.Errorf("%w: %d of them", errLimit, len(broken))
	}
	return nil
}

// publish writes the report to its file.
func (o options) publish(text []byte) error {
	if o.report == "" {
		return nil
	}
	if err := os.WriteFile(o.report, text, 0o644); err != nil {
		return fmt.Errorf("bench: write the report: %w", err)
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
