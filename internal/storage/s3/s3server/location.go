package s3server

import (
	"path/filepath"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// Config are the settings of a storage location of an S3 type in a bucket of the server, as a user writes
// them.
func (s *Server) Config(kind domain.StorageLocationType, bucket, prefix string) domain.StorageConfig {
	c := domain.StorageConfig{Prefix: prefix, Endpoint: s.Endpoint()}
	switch kind {
	case domain.StorageMinIO:
		c.Bucket, c.AccessKey, c.SecretKey, c.Endpoint = bucket, AccessKey, SecretKey, s.Address
	case domain.StorageBackblaze:
		c.BucketName, c.ApplicationKeyID, c.ApplicationKey = bucket, AccessKey, SecretKey
	default:
		c.Bucket, c.AccessKeyID, c.SecretAccessKey, c.Region = bucket, AccessKey, SecretKey, s.opts.Region
	}
	return c
}

// Dir is where VersityGW keeps the objects of a bucket: each is a file.
func (s *Server) Dir(bucket string) string { return filepath.Join(s.opts.Dir, "data", bucket) }
