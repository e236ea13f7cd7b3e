package s3_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// selfSigned makes a certificate and its files for the time of a test.
func selfSigned(t *testing.T, address string, end time.Time) s3server.Certificate {
	t.Helper()
	certificate, err := s3server.SelfSigned(t.TempDir(), address, end)
	require.NoError(t, err)
	return certificate
}

func TestCertificatesAreCheckedAndWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	for name, test := range map[string]struct {
		address string
		end     time.Time
		trusted bool
		hint    string
	}{
		"one of an authority that the location trusts": {"127.0.0.1", tomorrow, true, ""},
		"one of an unknown authority":                  {"127.0.0.1", tomorrow, false, "into ca_certificate"},
		"one that has expired":                         {"127.0.0.1", yesterday, true, "Renew the endpoint's certificate"},
		"one for another host":                         {"127.0.0.9", tomorrow, true, "name that the endpoint's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate := selfSigned(t, test.address, test.end)
			secure := start(t, s3server.Options{CertFile: certificate.CertFile, KeyFile: certificate.KeyFile})
			opts := s3.Options{
				Bucket: "secure", Region: "us-east-1", Endpoint: secure.Endpoint(), PathStyle: true,
				AccessKeyID: s3server.AccessKey, SecretAccessKey: s3server.SecretKey, Checksums: true,
			}
			require.NoError(t, secure.CreateBucket(context.Background(), opts.Bucket))
			if test.trusted {
				opts.CACertificate = certificate.PEM
			}
			store := open(t, opts)
			started := time.Now()
			err := store.Put(t.Context(), "key", strings.NewReader("content"), 7)
			if test.hint == "" {
				require.NoError(t, err)
				require.Equal(t, "content", string(read(t, store, "key")))
				return
			}
			require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%v", err)
			require.Contains(t, failure.HintOf(err), test.hint)
			require.Contains(t, err.Error(), "certificate")
			require.Less(t, time.Since(started), 10*time.Second, "it is not tried again")
		})
	}
}

func TestPlainHTTPToAServerWithTLSHintsAtIt(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	secure := start(t, s3server.Options{CertFile: certificate.CertFile, KeyFile: certificate.KeyFile})
	opts := options(t, domain.StorageMinIO, secure, "some-bucket", "")
	require.True(t, strings.HasPrefix(opts.Endpoint, "http://"), "a server on this machine is taken for one without TLS")
	opts.Patience = time.Millisecond
	_, err := open(t, opts).Stat(t.Context(), "key")
	// The server hangs up without a word, so nobody can know.
	require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "http or https")
}
