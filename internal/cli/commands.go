package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// oneArgument marks commands whose only argument is a name.
const oneArgument = "one-argument"

func (a *app) resourceCommand(r resource) *cobra.Command {
	what := plural(r.title)
	if len(r.verbs) == 0 { // there is one
		what = "the " + r.title
	}
	command := group(r.name, "Work with "+what, r.aliases...)
	if r.has(list) {
		command.AddCommand(a.listCommand(r))
	}
	if r.has(get) {
		command.AddCommand(a.getCommand(r))
	}
	if r.has(create) {
		command.AddCommand(a.createCommand(r))
	}
	if r.has(update) {
		command.AddCommand(a.updateCommand(r))
	}
	if r.has(remove) {
		command.AddCommand(a.actionCommand(r, action{
			name: remove, short: "Delete " + article(r.title), method: http.MethodDelete, path: r.path + "/{id}", confirm: "Delete " + r.title + " %s?",
		}))
	}
	for _, one := range r.actions {
		command.AddCommand(a.actionCommand(r, one))
	}
	if r.extra != nil {
		command.AddCommand(r.extra(a)...)
	}
	return command
}

func (a *app) listCommand(r resource) *cobra.Command {
	return a.pagedCommand(r, action{
		name: list, short: "List " + plural(r.title), path: r.path, filters: r.filters, columns: r.columns, unpaged: r.unpaged,
	})
}

func (a *app) getCommand(r resource) *cobra.Command {
	return a.actionCommand(r, action{name: get, short: "Show " + article(r.title), method: http.MethodGet, path: r.path + "/{id}"})
}

func (a *app) createCommand(r resource) *cobra.Command {
	return a.actionCommand(r, action{
		name: create, short: "Create " + article(r.title), method: http.MethodPost, path: r.path, fields: r.fields, document: true,
	})
}

func (a *app) updateCommand(r resource) *cobra.Command {
	command := a.actionCommand(r, action{
		name: update, short: "Change the fields of " + article(r.title) + " that are given", method: http.MethodPatch, path: r.path + "/{id}", fields: r.fields, document: true,
	})
	command.Flags().Int64("if-version", 0, "refuse the change when the version is another one: somebody was faster")
	return command
}

// pagedCommand shows a list.
func (a *app) pagedCommand(r resource, l action) *cobra.Command {
	command := &cobra.Command{Use: l.name, Short: l.short, Args: exactly()}
	a.takeID(command, r, l)
	for _, f := range l.filters {
		f.add(command, a)
	}
	var all bool
	var limit int
	var cursor string
	if !l.unpaged {
		command.Flags().BoolVar(&all, "all", false, "read every page")
		command.Flags().IntVar(&limit, "limit", 50, "how many a page has, 1 to 200")
		command.Flags().StringVar(&cursor, "cursor", "", "where the page before ended")
		command.MarkFlagsMutuallyExclusive("all", "cursor")
	}
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		path, err := s.pathOf(ctx, r, l, args)
		if err != nil {
			return err
		}
		query, err := s.query(ctx, l.filters)
		if err != nil {
			return err
		}
		var items []json.RawMessage
		var next string
		switch {
		case all || l.unpaged:
			items, err = s.items(ctx, path, query, l.unpaged)
		default:
			query.Set("limit", strconv.Itoa(limit))
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			items, next, err = s.Page(ctx, path, query)
		}
		if err != nil {
			return err
		}
		if err := s.printer.many(items, l.columns, s.cell(ctx)); err != nil {
			return err
		}
		if next != "" {
			command.PrintErrf("There are more: --cursor %s, or --all.\n", next)
		}
		return nil
	})
	return command
}

// actionCommand makes one call and shows its answer.
func (a *app) actionCommand(r resource, one action) *cobra.Command {
	if one.columns != nil {
		return a.pagedCommand(r, one)
	}
	command := &cobra.Command{Use: one.name, Short: one.short, Args: exactly()}
	a.takeID(command, r, one)
	for _, f := range append(append([]field{}, one.filters...), one.fields...) {
		f.add(command, a)
	}
	documents := &documentFlags{fields: one.fields}
	if one.document {
		documents = addDocumentFlags(command, one.fields)
	}
	var yes, wait bool
	if one.confirm != "" {
		command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	}
	if mayNeedApproval(r, one) {
		addApprovalFlag(command)
	}
	if one.wait {
		command.Flags().BoolVar(&wait, "wait", false, "follow it to its end, and fail when it fails")
	}
	command.RunE = a.run(func(ctx context.Context, s *session, args []string) error {
		call, err := s.callOf(ctx, r, one, documents, args)
		if err != nil {
			return err
		}
		if one.confirm != "" && !yes {
			if err := confirmed(command, fmt.Sprintf(one.confirm, clean(args[0]))); err != nil {
				return err
			}
		}
		answer, err := s.Do(approved(ctx, command), call)
		if err != nil {
			return err
		}
		switch {
		case one.rows:
			return s.rows(answer)
		case !wait && !one.follows:
			return s.showOutcome(one, answer)
		case one.runs != "":
			return s.followRun(ctx, one.runs, answer)
		default:
			return s.follow(ctx, answer)
		}
	})
	return command
}

// takeID gives a command its argument, if it is about one thing.
func (a *app) takeID(command *cobra.Command, r resource, one action) {
	if !one.needsID() {
		return
	}
	if one.of != "" {
		r, _ = resourceNamed(one.of) // a test holds that it is there
	}
	what := "ID"
	if r.naming != "" {
		what = strings.ToUpper(r.naming) + "|ID"
	}
	command.Use += " " + what
	command.Args = exactly("the " + strings.ToLower(strings.ReplaceAll(what, "|", " or ")) + " of " + article(r.title))
	command.Annotations = map[string]string{oneArgument: r.name}
	command.ValidArgsFunction = a.completeNames(r.name)
}

// pathOf is the address of an action's call.
func (s *session) pathOf(ctx context.Context, r resource, one action, args []string) (string, error) {
	if !one.needsID() {
		return one.path, nil
	}
	kind := r.name
	if one.of != "" {
		kind = one.of
	}
	id, err := s.idFor(ctx, kind, args[0])
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(one.path, "{id}", url.PathEscape(id)), nil
}

func (s *session) callOf(ctx context.Context, r resource, one action, documents *documentFlags, args []string) (client.Call, error) {
	path, err := s.pathOf(ctx, r, one, args)
	if err != nil {
		return client.Call{}, err
	}
	query, err := s.query(ctx, one.filters)
	if err != nil {
		return client.Call{}, err
	}
	call := client.Call{Method: one.method, Path: path, Query: query}
	if version := s.cmd.Flags().Lookup("if-version"); version != nil && version.Changed {
		call.IfMatch = `"` + version.Value.String() + `"`
	}
	if one.method == http.MethodGet || one.method == http.MethodDelete {
		return call, nil
	}
	body, err := documents.document(s.cmd, func(f field, name string) (any, error) { return s.idFor(ctx, f.of, name) })
	if err != nil {
		return call, err
	}
	for name, value := range one.fixed {
		body[name] = value
	}
	if len(body) > 0 || one.document {
		call.Body = body
	}
	return call, nil
}

// query makes the query parameters of the flags that were used.
func (s *session) query(ctx context.Context, filters []field) (url.Values, error) {
	query := url.Values{}
	for _, f := range filters {
		value, given, err := f.given(s.cmd)
		if err != nil {
			return nil, err
		}
		if !given {
			continue
		}
		text := f.query(value)
		if f.of != "" {
			if text, err = s.idFor(ctx, f.of, text); err != nil {
				return nil, err
			}
		}
		query.Set(f.path, text)
	}
	return query, nil
}

// items reads a whole list.
func (s *session) items(ctx context.Context, path string, query url.Values, unpaged bool) ([]json.RawMessage, error) {
	if !unpaged {
		return s.Collect(ctx, path, query)
	}
	items, _, err := s.Page(ctx, path, query)
	return items, err
}

// cell shows a column of a row; an id of something else by its name.
func (s *session) cell(ctx context.Context) func(column, any) string {
	return func(c column, row any) string {
		value := at(row, c.path)
		if id, ok := value.(string); ok && c.of != "" {
			return text(s.nameFor(ctx, c.of, id))
		}
		if c.show != nil {
			return c.show(value)
		}
		return text(value)
	}
}

// showOutcome prints the answer; one that says it did not go well is a failure.
func (s *session) showOutcome(one action, answer json.RawMessage) error {
	if err := s.printer.one(answer); err != nil {
		return err
	}
	if one.outcome == "" {
		return nil
	}
	value, err := decode(answer)
	if err != nil {
		return err
	}
	if got := at(value, one.outcome); got != "ok" && got != true {
		return failed("the outcome is %s", text(got))
	}
	return nil
}

// confirmed asks a person. Where there is none to ask, the flag has to be there.
func confirmed(cmd *cobra.Command, question string) error {
	if !onTerminal(cmd) {
		return BadUsage(cmd, "%s Nobody can be asked here; give --yes to confirm", question)
	}
	answer, err := ask(cmd, question+" [y/N] ", false)
	if err != nil {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return failed("not confirmed; nothing was done")
	}
	return nil
}

func plural(title string) string {
	if before, ok := strings.CutSuffix(title, "y"); ok && !strings.HasSuffix(title, "ey") {
		return before + "ies"
	}
	return title + "s"
}

func article(title string) string {
	if strings.ContainsAny(title[:1], "aeioA") {
		return "an " + title
	}
	return "a " + title
}
