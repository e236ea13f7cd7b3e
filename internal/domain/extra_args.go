package domain

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// extraArgs are the arguments that a job may give the tool of its datasource's type besides: those that change what a dump holds or
// how it is taken, and neither its form, which the restore reads, nor where it goes or whom it connects to. The pattern is that of
// the value; nil takes none. A tool of a server's version that does not know one says so, and the backup fails.
var extraArgs = map[DatasourceType]map[string]*regexp.Regexp{
	Postgres: { // pg_dump
		"--enable-row-security":     nil,
		"--exclude-table-data":      anyValue,
		"--extra-float-digits":      regexp.MustCompile(`^(-?[0-9]|-1[0-5]|[0-3])$`),
		"--lock-wait-timeout":       regexp.MustCompile(`^[0-9]{1,9}(ms|s|min)?$`),
		"--no-blobs":                nil,
		"--no-comments":             nil,
		"--no-privileges":           nil,
		"--no-publications":         nil,
		"--no-security-labels":      nil,
		"--no-subscriptions":        nil,
		"--no-tablespaces":          nil,
		"--no-unlogged-table-data":  nil,
		"--serializable-deferrable": nil,
	},
	MySQL:   {"--order-by-primary": nil, "--skip-events": nil, "--skip-routines": nil, "--skip-triggers": nil},
	MariaDB: {"--ignore-table-data": anyValue, "--order-by-primary": nil, "--skip-events": nil, "--skip-routines": nil, "--skip-triggers": nil},
	SQLServer: { // options of BACKUP DATABASE
		"BLOCKSIZE":       regexp.MustCompile(`^(512|1024|2048|4096|8192|16384|32768|65536)$`),
		"BUFFERCOUNT":     regexp.MustCompile(`^[1-9][0-9]{0,4}$`),
		"MAXTRANSFERSIZE": regexp.MustCompile(`^[1-9][0-9]{4,6}$`),
	},
}

var anyValue = regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,1000}$`)

// checkExtraArgs finds the first of them that the type's tool does not get.
func checkExtraArgs(v *Invalid, t DatasourceType, args []string) {
	const field = "extra_args"
	if len(args) == 0 {
		return
	}
	allowed := extraArgs[t]
	if len(allowed) == 0 {
		v.Add(field, "can not be given to a %s datasource, which no tool dumps; leave them out", t)
		return
	}
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		pattern, known := allowed[name]
		switch {
		case !known:
			v.Add(field, "has %q, which a job may not give; a %s datasource takes %s", name, t, strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))
		case pattern == nil && given:
			v.Add(field, "has %s with a value, and it takes none", name)
		case pattern != nil && !given:
			v.Add(field, "has %s without its value; write both as one, %s=value", name, name)
		case pattern != nil && !pattern.MatchString(value):
			v.Add(field, "has %s with a value that it does not take", name)
		default:
			continue
		}
		return
	}
}
