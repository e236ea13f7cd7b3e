// Package cli is the command line client of the REST API. It knows the API by its documented JSON: the resources are a
// table (resources.go), from which the commands are made, and a test compares the table with docs/openapi.json.
package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataguardian/dataguardian/internal/client"
)

// DefaultURL is where `dataguardian up` serves when it is told nothing.
const DefaultURL = "http://127.0.0.1:8080"

// Settings are what the environment and the flags say.
type Settings struct {
	URL             string // "": the server that was signed in to last, else DefaultURL
	Token           string // "": the one that login kept; it needs the URL, or it would go to whichever server that is
	CAFile          string // PEM file of authorities to trust besides the system's; "" for none
	CredentialsFile string // where login keeps tokens
}

// Options are what the commands are made of.
type Options struct {
	AddFlags func(*pflag.FlagSet)
	Settings func(*pflag.FlagSet) (Settings, error)
	// LookupEnv reads a variable that a person's document refers to.
	LookupEnv func(name string) (string, bool)
}

// Commands are those of the client, to be added to the program's.
func Commands(o Options) []*cobra.Command {
	a := &app{options: o}
	commands := []*cobra.Command{a.setupCommand(), a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.applyCommand(), a.exportCommand()}
	for _, r := range resources() {
		commands = append(commands, a.resourceCommand(r))
	}
	for _, c := range commands {
		c.GroupID = GroupID
		a.options.AddFlags(c.PersistentFlags())
		c.PersistentFlags().StringP("output", "o", formatTable, "how answers are printed: table, json, yaml or id")
		_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	}
	return commands
}

// GroupID is the group of the client's commands in the program's help.
const GroupID = "client"

type app struct{ options Options }

// session is one command's connection to the API.
type session struct {
	*client.Client
	cmd      *cobra.Command
	url      string
	settings Settings
	printer  printer
	names    map[string]map[string]string // resource → id → name, as far as it was asked for
	unnamed  map[string]error             // resources whose names could not be read, and why
}

// run is a RunE that has a connection, and whose errors are explained.
func (a *app) run(do func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := a.connect(cmd)
		if err != nil {
			return err
		}
		return explained(do(cmd.Context(), s, args))
	}
}

func (a *app) connect(cmd *cobra.Command) (*session, error) {
	settings, err := a.options.Settings(cmd.Flags())
	if err != nil {
		return nil, Error{err, exitUsage}
	}
	format, _ := cmd.Flags().GetString("output") // every command has it
	p, err := newPrinter(cmd, format)
	if err != nil {
		return nil, err
	}
	kept, err := readCredentials(settings.CredentialsFile)
	if err != nil {
		return nil, Error{err, exitFailed}
	}
	s := &session{cmd: cmd, settings: settings, printer: p, names: map[string]map[string]string{}, unnamed: map[string]error{}}
	if settings.Token != "" && settings.URL == "" {
		return nil, BadUsage(cmd, "DATAGUARDIAN_TOKEN is set, but not the server that it is for: set DATAGUARDIAN_URL too, or give --url")
	}
	if s.url, err = serverURL(cmd, settings.URL, kept.Current); err != nil {
		return nil, err
	}
	transport, err := transport(settings.CAFile)
	if err != nil {
		return nil, Error{err, exitUsage}
	}
	token := settings.Token
	if token == "" {
		token = kept.Servers[s.url].Token // only to the server that gave it
	}
	s.Client = client.New(s.url, client.WithToken(token), client.WithHTTPClient(&http.Client{Transport: transport}))
	return s, nil
}

// transport is the default one, which also trusts the authorities of a file.
func transport(caFile string) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one, by its documentation
	if caFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(caFile) //nolint:gosec // the caller's own file
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// group is a command that only holds others.
func group(name, short string, aliases ...string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Aliases: aliases,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return BadUsage(cmd, "there is no command %q", args[0])
			}
			return cmd.Help()
		},
	}
}

// exactly takes the arguments that are named.
func exactly(what ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(what) {
			return BadUsage(cmd, "give %s; there are %d arguments", listed(what), len(args))
		}
		return nil
	}
}

func listed(what []string) string {
	if len(what) == 0 {
		return "no argument"
	}
	text := what[0]
	for _, one := range what[1:] {
		text += " and " + one
	}
	return text
}

// someArguments takes one or more.
func someArguments(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return BadUsage(cmd, "give %s", what)
		}
		return nil
	}
}
