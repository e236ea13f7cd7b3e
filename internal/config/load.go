package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Need is something a command can not work without.
type Need struct {
	variables []string // one of them must be given
	why       string
}

// What commands need. `up` needs none of them: it makes what is missing.
var (
	NeedDatabase = Need{[]string{"DATABASE_URL"},
		"set it to the catalogue's Postgres, for example postgres://dataguardian:…@db.example.com/dataguardian?sslmode=verify-full"}
	NeedTemporal = Need{[]string{"TEMPORAL_ADDRESS"},
		"set it to host:port of the Temporal frontend, for example temporal.example.com:7233"}
	NeedMasterKey = Need{[]string{"DATAGUARDIAN_MASTER_KEY", "DATAGUARDIAN_MASTER_KEY_FILE"},
		"set it to the key that `openssl rand -base64 32` made when DataGuardian was set up, or to the file that holds it"}
	NeedNewMasterKey = Need{[]string{"DATAGUARDIAN_NEW_MASTER_KEY"},
		"set it to the key to change to, made by `openssl rand -base64 32`"}
)

// Load reads the process's environment and the flags that were used on the command line, and checks
// the whole. The error lists everything that is wrong, each naming its variable or flag.
func Load(flags *pflag.FlagSet, needs ...Need) (*Config, error) {
	return load(os.Environ(), flags, needs...)
}

func load(environ []string, flags *pflag.FlagSet, needs ...Need) (*Config, error) {
	values, sources := given(environ, flags)
	c := &Config{chosen: map[string]bool{}}
	for variable := range sources {
		c.chosen[variable] = true
	}
	if err := env.ParseWithOptions(c, env.Options{Environment: values}); err != nil {
		return nil, invalid(parseProblems(err, sources))
	}
	c.normalize()
	problems := c.validate(sources)
	if c.DataDir == "" {
		dir, err := defaultDataDir(values)
		if err != nil {
			problems = append(problems, err.Error())
		}
		c.DataDir = dir
	}
	for _, need := range needs {
		if !slices.ContainsFunc(need.variables, c.Chosen) {
			problems = append(problems, fmt.Sprintf("%s is not set; %s", strings.Join(need.variables, " or "), need.why))
		}
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return c, nil
}

func invalid(problems []string) error {
	return failure.New(failure.ConfigInvalid, "configuration", strings.Join(problems, "\n"), "")
}

// parseProblems says of each value that has the wrong form which variable or flag it came from. It
// leaves the value out: it may be a secret in the wrong place.
func parseProblems(err error, sources map[string]string) []string {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []string{err.Error()}
	}
	var problems []string
	for _, one := range all.Errors {
		var parse env.ParseError
		if !errors.As(one, &parse) {
			problems = append(problems, one.Error())
			continue
		}
		variable := variableOf(reflect.TypeFor[Config](), parse.Name)
		problems = append(problems, fmt.Sprintf("%s is not a valid %s", source(sources, variable), wanted(parse.Type)))
	}
	return problems
}

func wanted(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "duration; write it like 720h"
	case t.String() == "slog.Level":
		return "log level; give debug, info, warn or error"
	case t.Kind() == reflect.Bool:
		return "yes or no; give true or false"
	default:
		return "number"
	}
}

// variableOf finds the environment variable of the field named name, in t or one of its structs.
// Field names of numbers, durations and booleans are unique throughout; a test holds that.
func variableOf(t reflect.Type, name string) string {
	for field := range fields(t) {
		if field.Name == name {
			return field.Tag.Get("env")
		}
	}
	return name
}

// fields walks the fields that have a variable.
func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			field := t.Field(i)
			if _, tagged := field.Tag.Lookup("env"); tagged {
				if !yield(field) {
					return
				}
			} else if field.Type.Kind() == reflect.Struct {
				for inner := range fields(field.Type) {
					if !yield(inner) {
						return
					}
				}
			}
		}
	}
}

// source is what to call a variable in an error: the flag, where it came from one.
func source(sources map[string]string, variable string) string {
	if name, found := sources[variable]; found {
		return name
	}
	return variable
}

func (c *Config) normalize() {
	for i, pool := range c.Worker.Pools {
		c.Worker.Pools[i] = strings.TrimSpace(pool)
	}
	if c.Worker.DataListen == "off" || c.Worker.DataListen == "0" {
		c.Worker.DataListen = ""
	}
	c.Worker.DataURL = strings.TrimRight(c.Worker.DataURL, "/")
	c.Worker.ClientToolsPath = slices.DeleteFunc(c.Worker.ClientToolsPath, func(dir string) bool { return dir == "" })
	c.Worker.HookCommands = slices.DeleteFunc(c.Worker.HookCommands, func(program string) bool { return program == "" })
	if c.DataDir != "" {
		if absolute, err := filepath.Abs(c.DataDir); err == nil {
			c.DataDir = absolute
		}
	}
}

// complaints collects what is wrong, each naming the variable or flag that said it.
type complaints struct {
	sources map[string]string
	list    []string
}

func (p *complaints) add(variable, format string, args ...any) {
	p.list = append(p.list, source(p.sources, variable)+" "+fmt.Sprintf(format, args...))
}

// validate finds values that have the right form but can not work.
func (c *Config) validate(sources map[string]string) []string {
	p := &complaints{sources: sources}
	c.validateNetwork(p)
	c.validateTemporal(p)
	c.validateWorker(p)
	c.validateOIDC(p)
	if c.Database.MaxConns < 2 {
		p.add("DATAGUARDIAN_DB_MAX_CONNS", "is %d; give 2 or more: one connection listens for changes", c.Database.MaxConns)
	}
	if c.MasterKey.Value != "" && c.MasterKey.File != "" {
		p.add("DATAGUARDIAN_MASTER_KEY", "and DATAGUARDIAN_MASTER_KEY_FILE are both set; keep one")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		p.add("DATAGUARDIAN_LOG_FORMAT", "is %q; give text or json", c.Log.Format)
	}
	if c.Demo.SizeMB < 1 {
		p.add("DEMO_SIZE_MB", "is %d; give 1 or more", c.Demo.SizeMB)
	}
	return p.list
}

func (c *Config) validateNetwork(p *complaints) {
	if !validAddress(c.Listen) {
		p.add("DATAGUARDIAN_LISTEN", "is %q; give host:port", c.Listen)
	}
	for _, proxy := range c.TrustedProxies {
		if _, err := netip.ParseAddr(proxy); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(proxy); err != nil {
			p.add("DATAGUARDIAN_TRUSTED_PROXIES", "names %q; give addresses or networks like 10.0.0.0/8", proxy)
		}
	}
}

func (c *Config) validateTemporal(p *complaints) {
	if c.Temporal.Address != "" && !validAddress(c.Temporal.Address) {
		p.add("TEMPORAL_ADDRESS", "is %q; give host:port", c.Temporal.Address)
	}
	if port := c.Temporal.FrontendPort; port < 0 || port > 65535 {
		p.add("DATAGUARDIAN_TEMPORAL_PORT", "is %d; give a port, or 0 for a free one", port)
	}
	if port := c.Temporal.UIPort; port < 0 || port > 65535 {
		p.add("DATAGUARDIAN_TEMPORAL_UI_PORT", "is %d; give a port, or 0 for a free one", port)
	}
	if (c.Temporal.TLSCert == "") != (c.Temporal.TLSKey == "") {
		p.add("TEMPORAL_TLS_CERT", "and TEMPORAL_TLS_KEY belong together; set both or neither")
	}
	if c.Temporal.Retention < 24*time.Hour {
		p.add("TEMPORAL_RETENTION", "is %s; Temporal keeps closed workflows for a day (24h) or longer", c.Temporal.Retention)
	}
}

func (c *Config) validateWorker(p *complaints) {
	if c.Worker.Slots < 1 {
		p.add("DATAGUARDIAN_SLOTS", "is %d; give 1 or more", c.Worker.Slots)
	}
	if c.Worker.DataListen != "" && !validAddress(c.Worker.DataListen) {
		p.add("DATAGUARDIAN_DATA_LISTEN", "is %q; give host:port, or off to serve no downloads", c.Worker.DataListen)
	}
	if c.Worker.DataURL != "" && !validOrigin(c.Worker.DataURL) {
		p.add("DATAGUARDIAN_DATA_URL", "is %q; give https://host:port without a path", c.Worker.DataURL)
	}
	for _, pool := range c.Worker.Pools {
		var wrong domain.Invalid
		if domain.CheckPool(&wrong, pool); len(wrong) > 0 {
			p.add("DATAGUARDIAN_POOLS", "names the pool %q; use lower-case letters, digits and dashes, 63 at most", pool)
		}
	}
}

// validOrigin reports whether text is https://host or https://host:port and nothing more.
func validOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && text == "https://"+u.Host
}

func validAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number <= 65535
}
