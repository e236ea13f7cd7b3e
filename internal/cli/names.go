package cli

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// completionTimeout is how long the shell waits for names.
const completionTimeout = 3 * time.Second

var errUnknownResource = errors.New("the command names a resource that is not in the table")

func resourceNamed(name string) (resource, error) {
	for _, r := range resources() {
		if r.name == name {
			return r, nil
		}
	}
	return resource{}, errUnknownResource
}

// idFor takes an id or the exact name of a thing.
func (s *session) idFor(ctx context.Context, kind, nameOrID string) (string, error) {
	r, err := resourceNamed(kind)
	if err != nil {
		return "", err
	}
	if uuid.Validate(nameOrID) == nil || r.naming == "" {
		return nameOrID, nil
	}
	names, err := s.namesOf(ctx, r)
	if err != nil {
		return "", err
	}
	for id, name := range names {
		if strings.EqualFold(name, nameOrID) { // the API keeps names apart whatever the case of their letters
			return id, nil
		}
	}
	return "", notFound("there is no %s with the name %q; 'dataguardian %s list' shows those there are", r.title, nameOrID, r.name)
}

// nameFor is the name of a thing; its id where the name can not be read.
func (s *session) nameFor(ctx context.Context, kind, id string) string {
	r, err := resourceNamed(kind)
	if err != nil || r.naming == "" || id == "" {
		return id
	}
	names, err := s.namesOf(ctx, r)
	if err != nil || names[id] == "" {
		return id
	}
	return names[id]
}

// namesOf reads the names of a kind, once for a command, also where that fails: every refusal is an entry of the audit trail.
func (s *session) namesOf(ctx context.Context, r resource) (map[string]string, error) {
	if known, ok := s.names[r.name]; ok {
		return known, nil
	}
	if err := s.unnamed[r.name]; err != nil {
		return nil, err
	}
	items, err := s.items(ctx, r.path, url.Values{}, r.unpaged)
	if err != nil {
		s.unnamed[r.name] = err
		return nil, err
	}
	names := make(map[string]string, len(items))
	for _, item := range items {
		value, err := decode(item)
		if err != nil {
			return nil, err
		}
		if name, ok := at(value, r.naming).(string); ok {
			names[idOf(value)] = name
		}
	}
	s.names[r.name] = names
	return names, nil
}

// completeNames gives the shell the names of a kind. What goes wrong gives none: there is nobody to tell.
func (a *app) completeNames(kind string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && cmd.Annotations[oneArgument] != "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.known(cmd, kind), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) known(cmd *cobra.Command, kind string) []string {
	r, err := resourceNamed(kind)
	if err != nil || r.naming == "" {
		return nil
	}
	s, err := a.connect(cmd)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(cmd)), completionTimeout)
	defer cancel()
	names, err := s.namesOf(ctx, r)
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, clean(name))
	}
	return out
}

// contextOf is the command's context; the shell's completion runs commands without one.
func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
