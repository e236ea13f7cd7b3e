package api

import (
	"maps"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// maskedOptions are a job's options as clients see them.
func maskedOptions(o domain.BackupOptions) domain.BackupOptions {
	o = o.Detached()
	mask(o.Secrets())
	return o
}

// unmaskOptions puts the stored secrets back where the client sent the mask. Both options are in their
// normal form.
func unmaskOptions(o *domain.BackupOptions, stored domain.BackupOptions) domain.Invalid {
	v := o.Hooks.FillURLs(stored.Hooks)
	var is, was domain.SSHTunnel
	if o.ReferencedFiles != nil {
		is = o.ReferencedFiles.Login()
	}
	if stored.ReferencedFiles != nil {
		was = stored.ReferencedFiles.Login()
	}
	given, kept := o.Secrets(), stored.Secrets()
	const heartbeat = "heartbeat_url" // is its own address: nothing else sends it elsewhere
	v = append(v, unmask(map[string]*string{heartbeat: given[heartbeat]}, kept, nil)...)
	maps.DeleteFunc(given, func(name string, _ *string) bool { return name == heartbeat || strings.HasPrefix(name, "hooks.") })
	return append(v, unmask(given, kept, names([]change{
		{"referenced_files.host", is.Host != was.Host},
		{"referenced_files.port", is.Port != was.Port},
		{"referenced_files.username", is.Username != was.Username},
		{"referenced_files.host_key", is.HostKey != was.HostKey},
	}))...)
}
