// Package mongotool is what runs in the child process of package mongodb: mongodump and mongorestore as
// libraries. They keep global state, panic on bad input and can not be stopped reliably from inside, so
// they get a process of their own, which is this program again with the hidden subcommand Name.
package mongotool

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mongodb/mongo-tools/common/archive"
	"github.com/mongodb/mongo-tools/common/log"
	"github.com/mongodb/mongo-tools/common/progress"
	"github.com/mongodb/mongo-tools/mongodump"
	"github.com/mongodb/mongo-tools/mongorestore"
	"github.com/mongodb/mongo-tools/mongorestore/ns"
	"golang.org/x/sys/unix"
)

// Name is the hidden subcommand; its argument is Dump, Restore or --version.
const (
	Name    = "mongo-tool"
	Dump    = "dump"
	Restore = "restore"
)

// Version is that of the pinned mongo-tools module: 100.9.5 and later fixes.
const Version = "100.9.5-20240723"

// maxConfig bounds the configuration in bytes; it names collections.
const maxConfig = 8 << 20

// Config is the first line of the child's standard input: nothing of it is on a command line, in the
// environment or in a file.
type Config struct {
	URI        string // without user and password if Username is set
	Username   string
	Password   string
	AuthSource string
	CA         string // PEM, "" is the system's
	Insecure   bool   // TLS without checking the certificate

	Database           string
	ExcludeCollections []string // dump

	Include []string // restore: namespaces or patterns, empty is everything
	Target  string   // restore: what "<Database>.*" becomes, with a star
	Jobs    int      // restore
}

// Run is the subcommand. It returns the exit status.
func Run(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(os.Stdout, Version)
		return 0
	}
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "Failed: "+err.Error())
		return 1
	}
	return 0
}

func run(args []string) error {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	config, err := ReadConfig(in)
	if err != nil {
		return err
	}
	connection, done, err := config.connection()
	if err != nil {
		return err
	}
	defer done()
	switch {
	case len(args) == 1 && args[0] == Dump:
		return dump(config, connection)
	case len(args) == 1 && args[0] == Restore:
		return restore(config, connection, in)
	}
	return errors.New("use: " + Name + " dump|restore")
}

// Line is c as the child reads it.
func (c Config) Line() ([]byte, error) {
	line, err := json.Marshal(c)
	return append(line, '\n'), err
}

// ReadConfig reads what Line wrote, and no byte more.
func ReadConfig(r *bufio.Reader) (Config, error) {
	var config Config
	line, err := r.ReadBytes('\n')
	if err != nil || len(line) > maxConfig {
		return config, errors.New("no configuration on standard input")
	}
	if json.Unmarshal(line, &config) != nil {
		return config, errors.New("the configuration on standard input is not JSON") // its text is secret
	}
	return config, nil
}

// connection are the options of both tools. They never leave this process. The CA certificate is there
// until done is called.
func (c Config) connection() (args []string, done func(), err error) {
	args = []string{"--uri=" + c.URI}
	if c.Username != "" {
		args = append(args, "--username="+c.Username, "--password="+c.Password, "--authenticationDatabase="+c.AuthSource)
	}
	if c.Insecure {
		args = append(args, "--ssl", "--tlsInsecure")
	}
	if c.CA == "" {
		return args, func() {}, nil
	}
	// In memory: a child that is killed leaves no file.
	fd, err := unix.MemfdCreate("ca", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("keep the CA certificate: %w", err)
	}
	file := os.NewFile(uintptr(fd), "ca") //nolint:gosec // a descriptor is small
	if _, err := file.WriteString(c.CA); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("keep the CA certificate: %w", err), file.Close())
	}
	return append(args, "--ssl", fmt.Sprintf("--sslCAFile=/proc/self/fd/%d", fd)), func() { _ = file.Close() }, nil
}

func dump(config Config, args []string) error {
	args = append(args, "--db="+config.Database, "--archive", "--numParallelCollections=1")
	for _, name := range config.ExcludeCollections {
		args = append(args, "--excludeCollection="+name)
	}
	quiet(true) // the tools warn of a password on the command line, where it never was
	options, err := mongodump.ParseOptions(args, Version, "")
	quiet(false)
	if err != nil {
		return err
	}
	read, write := io.Pipe()
	tool := mongodump.MongoDump{
		ToolOptions: options.ToolOptions, InputOptions: options.InputOptions, OutputOptions: options.OutputOptions,
		SkipUsersAndRoles: true, OutputWriter: write, ProgressManager: silent(),
	}
	written := make(chan error, 1)
	go func() {
		err := sortPrelude(os.Stdout, read)
		_ = read.CloseWithError(err)
		written <- err
	}()
	if err = tool.Init(); err == nil {
		err = tool.Dump()
	}
	_ = write.CloseWithError(err)
	return errors.Join(err, <-written)
}

// sortPrelude copies an archive. Its prelude lists the collections in an order that is another each time;
// sorted, the same data gives the same bytes.
func sortPrelude(out io.Writer, in io.Reader) error {
	prelude := &archive.Prelude{}
	if err := prelude.Read(in); err != nil {
		return err
	}
	slices.SortFunc(prelude.NamespaceMetadatas, func(a, b *archive.CollectionMetadata) int {
		return strings.Compare(a.Collection, b.Collection)
	})
	if err := prelude.Write(out); err != nil {
		return err
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{out}, in, make([]byte, 256<<10))
	return err
}

// restore loads documents. Indexes are made by package mongodb: mongorestore gives them an option that
// servers with a strict API refuse.
func restore(config Config, args []string, archive io.Reader) error {
	jobs := fmt.Sprint(max(1, config.Jobs))
	args = append(args, "--archive", "--stopOnError", "--noIndexRestore", "--nsFrom="+ns.Escape(config.Database)+".*", "--nsTo="+config.Target,
		"--numParallelCollections="+jobs, "--numInsertionWorkersPerCollection="+jobs)
	for _, namespace := range config.Include {
		args = append(args, "--nsInclude="+namespace)
	}
	quiet(true)
	options, err := mongorestore.ParseOptions(args, Version, "")
	quiet(false)
	if err != nil {
		return err
	}
	tool, err := mongorestore.New(options)
	if err != nil {
		return err
	}
	defer tool.Close()
	tool.SkipUsersAndRoles = true
	tool.InputReader = archive
	result := tool.Restore()
	if result.Err != nil {
		return result.Err
	}
	if result.Failures > 0 {
		return fmt.Errorf("%d documents were not restored", result.Failures)
	}
	return nil
}

// quiet keeps what the tools log to themselves, or lets it go to standard error.
func quiet(on bool) {
	if on {
		log.SetWriter(io.Discard)
		return
	}
	log.SetWriter(os.Stderr)
}

// silent counts progress for nobody.
func silent() progress.Manager { return progress.NewBarWriter(io.Discard, time.Hour, 1, false) }
