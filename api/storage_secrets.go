package api

import (
	"github.com/dataguardian/dataguardian/internal/domain"
)

// maskedStorage is the configuration of a storage location as clients see it.
func maskedStorage(c domain.StorageConfig) domain.StorageConfig {
	mask(c.Secrets())
	return c
}

// unmaskStorage puts the stored secrets back where the client sent the mask. Both configurations are
// in their normal form.
func unmaskStorage(c *domain.StorageConfig, stored domain.StorageConfig) domain.Invalid {
	return unmask(c.Secrets(), stored.Secrets(), exposingStorage(*c, stored))
}

// exposingStorage names the changes with which a stored secret would reach another server or account,
// or travel with less protection.
func exposingStorage(c, stored domain.StorageConfig) []string {
	return names([]change{
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
	})
}
