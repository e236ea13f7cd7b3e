package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// mask replaces every secret that is set.
func mask(fields map[string]*string) {
	for _, field := range fields {
		if *field != "" {
			*field = failure.Mask
		}
	}
}

// unmask puts the stored secrets back where the client sent the mask. Refused are a mask with nothing
// stored behind it, which would become the secret, and one beside any of the exposing changes: whoever
// may change the host but does not know the password could have it sent to a server of their own.
func unmask(given, stored map[string]*string, exposing []string) domain.Invalid {
	var v domain.Invalid
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch field, kept := given[name], stored[name]; {
		case *field != failure.Mask:
		case kept == nil || *kept == "":
			v.Add(name, "is %s, which stands for a stored secret, and none is stored; give the secret itself", failure.Mask)
		case len(exposing) > 0:
			v.Add(name, "give it again, because %s changed: the stored one is only sent where it was entered for", strings.Join(exposing, ", "))
		default:
			*field = *kept
		}
	}
	return v
}

// replaced names the secrets that were replaced by others, which the masks do not show.
func replaced(under string, before, after map[string]*string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was, is := before[name], after[name]; was != nil && *was != "" && *is != "" && *was != *is {
			names = append(names, under+"."+name)
		}
	}
	return names
}

// change is a field that decides where a stored secret is sent, or how well it is protected on its way.
type change struct {
	name    string
	changed bool
}

func names(changes []change) []string {
	var changed []string
	for _, c := range changes {
		if c.changed {
			changed = append(changed, c.name)
		}
	}
	return changed
}
