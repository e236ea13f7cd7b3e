package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// resource is a kind of thing that the API has. The commands are made from it.
type resource struct {
	name    string // of the command, for example datasource
	title   string // for people, for example "datasource"
	aliases []string
	path    string // of the list, for example /api/datasources
	naming  string // the field that people name it by; "" when it has only an id
	unpaged bool   // the list has no pages
	verbs   []string
	filters []field // flags of list, which become query parameters
	fields  []field // flags of create and update, which become fields of the document
	columns []column
	actions []action
	// extra are commands that are more than one call.
	extra func(*app) []*cobra.Command
}

// The verbs of a resource: the usual calls of the API.
const (
	list   = "list"
	get    = "get"
	create = "create"
	update = "update"
	remove = "delete"
)

func (r resource) has(verb string) bool { return slices.Contains(r.verbs, verb) }

// action is any other call.
type action struct {
	name, short string
	method      string
	path        string // whole; {id} is the thing that the argument names
	of          string // the resource that the argument names; "" is the command's own
	filters     []field
	fields      []field        // flags that become the body's fields
	fixed       map[string]any // fields of the body that are always these
	document    bool           // the body may be given by -f, --set and --secret-from
	confirm     string         // asked before it is done, about the thing's name (%s)
	columns     []column       // the answer is a list
	unpaged     bool           // of one page
	wait        bool           // the answer is an execution: --wait follows it
	follows     bool           // it is followed, asked for or not
	runs        string         // where the run that the answer is can be read; "" is an execution
	rows        bool           // the answer is rows of a database
	outcome     string         // field that is "ok" when it went well
}

// needsID reports whether the action is about one thing.
func (a action) needsID() bool { return strings.Contains(a.path, "{id}") }

// field is a flag that stands for a field of a document, or a query parameter.
type field struct {
	flag, path, usage string
	kind              fieldKind
	of                string   // the resource whose names are taken for ids
	values            []string // all that it can be, for the shell
}

type fieldKind int

const (
	textField fieldKind = iota
	boolField
	intField
	listField
	allField // a switch that sends true when it is given, and nothing else
)

// column is what a list shows.
type column struct {
	header, path string
	show         func(any) string // default text
	of           string           // the resource whose id it holds: its name is shown
}

func (f field) add(cmd *cobra.Command, a *app) {
	set, usage := cmd.Flags(), f.usage
	if len(f.values) > 0 {
		usage = strings.TrimSpace(usage + " (" + strings.Join(f.values, ", ") + ")")
	}
	switch f.kind {
	case textField:
		set.String(f.flag, "", usage)
	case boolField, allField:
		set.Bool(f.flag, false, usage)
	case intField:
		set.Int64(f.flag, 0, usage)
	case listField:
		set.StringSlice(f.flag, nil, usage+"; may be given again")
	}
	switch {
	case len(f.values) > 0:
		_ = cmd.RegisterFlagCompletionFunc(f.flag, cobra.FixedCompletions(f.values, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	case f.of != "":
		_ = cmd.RegisterFlagCompletionFunc(f.flag, a.completeNames(f.of))
	}
}

// given is the value that the command line has for the field, if any.
func (f field) given(cmd *cobra.Command) (any, bool, error) {
	set := cmd.Flags()
	if !set.Changed(f.flag) {
		return nil, false, nil
	}
	var value any
	var err error
	switch f.kind {
	case textField:
		value, err = set.GetString(f.flag)
	case boolField, allField:
		value, err = set.GetBool(f.flag)
	case intField:
		value, err = set.GetInt64(f.flag)
	case listField:
		value, err = set.GetStringSlice(f.flag)
	}
	return value, true, err
}

// query is the value as a query parameter.
func (f field) query(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case []string:
		return strings.Join(v, ",")
	default:
		return fmt.Sprint(v)
	}
}
