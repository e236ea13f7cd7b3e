package s3

import (
	"fmt"
	"strings"
	"time"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// DefaultPatience is how long one request is tried again after its first failure: longer than a
// server takes to restart.
const DefaultPatience = 90 * time.Second

// Options say which bucket and how its service wants to be talked to. The services are one client
// with different settings: see OptionsOf.
type Options struct {
	Bucket string
	Prefix string // directory in the bucket, without slashes around it; "" is the whole bucket

	Region    string
	Endpoint  string // URL; "" is AWS
	PathStyle bool   // the bucket is in the path, not in the host name

	AccessKeyID     string // "" with SecretAccessKey: the AWS credentials of this process's surroundings
	SecretAccessKey string

	StorageClass  string // of new objects; "" is the service's default
	SSE           string // AES256 or aws:kms; "" is the bucket's default
	SSEKMSKeyID   string
	CACertificate string // PEM, trusted besides the system's authorities

	// Checksums sends SHA-256 as x-amz-checksum-sha256, which the service checks and keeps. Without it
	// the signature covers the body's SHA-256 instead: what every service checks, but none keeps.
	Checksums bool

	// RegionIsFixed is set where the location has no region setting, so that a hint does not ask for it.
	RegionIsFixed bool

	Patience time.Duration // 0 is DefaultPatience
}

// OptionsOf gives the options of a validated location of type s3, minio or backblaze.
func OptionsOf(kind domain.StorageLocationType, c domain.StorageConfig) (Options, error) {
	switch kind {
	case domain.StorageS3:
		return Options{
			Bucket: c.Bucket, Prefix: c.Prefix, Region: c.Region, Endpoint: c.Endpoint,
			// No certificate of the service covers a bucket with a dot as part of the host name.
			PathStyle:   isSet(c.ForcePathStyle) || strings.Contains(c.Bucket, "."),
			AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, StorageClass: c.StorageClass, SSE: c.SSE,
			SSEKMSKeyID: c.SSEKMSKeyID, CACertificate: c.CACertificate,
			// Look-alikes refuse the checksum headers, or accept and ignore them; the signature they all check.
			Checksums: c.Endpoint == "" || strings.HasSuffix(strings.TrimRight(c.Endpoint, "/"), ".amazonaws.com"),
		}, nil
	case domain.StorageMinIO:
		scheme := "http"
		if isSet(c.UseSSL) {
			scheme = "https"
		}
		return Options{
			Bucket: c.Bucket, Prefix: c.Prefix, Region: "us-east-1", Endpoint: scheme + "://" + c.Endpoint, PathStyle: true,
			AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, CACertificate: c.CACertificate, Checksums: true, RegionIsFixed: true,
		}, nil
	case domain.StorageBackblaze:
		endpoint, region := backblaze(c.Endpoint, c.Region)
		return Options{
			Bucket: c.BucketName, Prefix: c.Prefix, Region: region, Endpoint: endpoint, PathStyle: true,
			AccessKeyID: c.ApplicationKeyID, SecretAccessKey: c.ApplicationKey,
		}, nil
	default:
		return Options{}, failure.New(failure.Unsupported, "open storage", fmt.Sprintf("type %q is not an S3 service", kind), "")
	}
}

// backblaze derives the region from the endpoint or the endpoint from the region: a bucket's page
// shows the endpoint, s3.<region>.backblazeb2.com.
func backblaze(endpoint, region string) (string, string) {
	if endpoint == "" {
		return "https://s3." + region + ".backblazeb2.com", region
	}
	if region != "" {
		return endpoint, region
	}
	_, host, _ := strings.Cut(endpoint, "://")
	if middle, ok := strings.CutPrefix(host, "s3."); ok {
		if region, ok := strings.CutSuffix(middle, ".backblazeb2.com"); ok {
			return endpoint, region
		}
	}
	return endpoint, "us-east-1"
}

func isSet(flag *bool) bool { return flag != nil && *flag }
