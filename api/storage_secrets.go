package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maskedStorage is the configuration of a storage location as clients see it.
func maskedStorage(c domain.StorageConfig) domain.StorageConfig {
	for _, field := range c.Secrets() {
		if *field != "" {
			*field = failure.Mask
		}
	}
	return c
}

// unmaskStorage puts the stored secrets back where the client sent the mask, by the rules of unmask.
// Both configurations are in their normal form.
func unmaskStorage(c *domain.StorageConfig, stored domain.StorageConfig) domain.Invalid {
	var v domain.Invalid
	given, kept := c.Secrets(), stored.Secrets()
	changes := exposingStorage(*c, stored)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch field := given[name]; {
		case *field != failure.Mask:
		case *kept[name] == "":
			v.Add(name, "is %s, which stands for a stored secret, and none is stored; give the secret itself", failure.Mask)
		case len(changes) > 0:
			v.Add(name, "give it again, because %s changed: the stored one is only sent where it was entered for", strings.Join(changes, ", "))
		default:
			*field = *kept[name]
		}
	}
	return v
}

// exposingStorage names the changes with which a stored secret would reach another server or account,
// or travel with less protection.
func exposingStorage(c, stored domain.StorageConfig) []string {
	var changes []string
	for _, field := range []struct {
		name    string
		changed bool
	}{
		{"host", c.Host != stored.Host},
		{"port", c.Port != stored.Port},
		{"username", c.Username != stored.Username},
		{"host_key", c.HostKey != stored.HostKey && stored.HostKey != ""},
		{"endpoint", c.Endpoint != stored.Endpoint},
		{"region", c.Region != stored.Region && c.Endpoint == ""},
		{"use_ssl", stored.UseSSL != nil && *stored.UseSSL && (c.UseSSL == nil || !*c.UseSSL)},
		{"ca_certificate", c.CACertificate != stored.CACertificate},
		{"access_key_id", c.AccessKeyID != stored.AccessKeyID},
		{"access_key", c.AccessKey != stored.AccessKey},
		{"application_key_id", c.ApplicationKeyID != stored.ApplicationKeyID},
	} {
		if field.changed {
			changes = append(changes, field.name)
		}
	}
	return changes
}

// replacedSecrets names the secrets that were replaced by others, which the masks do not show.
func replacedSecrets(before, after domain.StorageConfig) []string {
	var names []string
	was, is := before.Secrets(), after.Secrets()
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if *was[name] != "" && *is[name] != "" && *was[name] != *is[name] {
			names = append(names, "config."+name)
		}
	}
	return names
}
