package s3server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Client is the SDK's own client as the server's owner, to look at what a store left behind.
func (s *Server) Client() *s3.Client { return ClientOf(s.Endpoint(), s.opts.Region) }

// ClientOf is a client of a server at endpoint that takes the package's keys.
func ClientOf(endpoint, region string) *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
		// Tests of certificates need buckets too, and this is a server of our own on this machine.
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, //nolint:gosec // see above
	})
}

// CreateBucket makes a bucket.
func (s *Server) CreateBucket(ctx context.Context, name string) error {
	return createBucket(ctx, s.Client(), &s3.CreateBucketInput{Bucket: &name})
}

// CreateLockedBucket makes a bucket with versions and Object Lock.
func (s *Server) CreateLockedBucket(ctx context.Context, name string) error {
	return createBucket(ctx, s.Client(), &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true)})
}

// CreateVersionedBucket makes a bucket that keeps old versions.
func (s *Server) CreateVersionedBucket(ctx context.Context, name string) error {
	if err := s.CreateBucket(ctx, name); err != nil {
		return err
	}
	_, err := s.Client().PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("s3server: %w", err)
	}
	return nil
}

func createBucket(ctx context.Context, client *s3.Client, in *s3.CreateBucketInput) error {
	if _, err := client.CreateBucket(ctx, in); err != nil {
		return fmt.Errorf("s3server: create bucket: %w", err)
	}
	return nil
}
