package remote

import (
	"context"
	"crypto/rand"
	"path/filepath"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

// S3 starts versitygw, the program gateway, below dir, which must be there: buckets are directories. The
// caller stops the place.
func S3(ctx context.Context, gateway, dir string) (*Place, error) {
	p := newPlace(dir)
	// rclone asks before it sends an object, which versitygw does not answer: each would wait a second.
	p.Options = []string{"--expect-continue-timeout", "0"}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	access, secret := "bench", rand.Text()
	endpoint, pathStyle := "http://"+address(port), true
	if err := p.configure(dir, filepath.Base(p.Copies), "type = s3", "provider = Other", "endpoint = "+endpoint, "region = us-east-1",
		"force_path_style = true", "no_check_bucket = true", "access_key_id = "+access, "secret_access_key = "+secret); err != nil {
		return nil, err
	}
	location := recovery.Location{Type: domain.StorageS3, Config: domain.StorageConfig{
		Endpoint: endpoint, Region: "us-east-1", ForcePathStyle: &pathStyle, Bucket: filepath.Base(p.Objects), AccessKeyID: access, SecretAccessKey: secret,
	}}
	if err := p.describe(dir, location); err != nil {
		return nil, err
	}
	p.server, err = start(ctx, dir, address(port), []string{"ROOT_ACCESS_KEY=" + access, "ROOT_SECRET_KEY=" + secret},
		gateway, "--quiet", "--keep-alive", "--port", address(port), "posix", filepath.Dir(p.Objects))
	if err != nil {
		return nil, err
	}
	if err := try(ctx, location); failure.ClassOf(err) == failure.Unsupported {
		p.Missing = err.Error()
	}
	return p, nil
}
