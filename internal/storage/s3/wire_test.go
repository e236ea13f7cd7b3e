package s3_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what the protocol asks for
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
)

// A wire answers requests as services do that no test can run: what they say when a disk or an account
// is full, when a lock refuses, when they are busy. Everything that the real servers can be brought to
// say is tested against them.
type wire struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

func newWire(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *wire {
	t.Helper()
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.requests, w.bodies = append(w.requests, r), append(w.bodies, body)
		n := len(w.requests)
		w.mu.Unlock()
		response.Header().Set("ETag", `"made"`)
		answer(n, response, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) store(t *testing.T, kind domain.StorageLocationType) *s3.Store {
	t.Helper()
	c := domain.StorageConfig{Endpoint: w.URL}
	switch kind {
	case domain.StorageS3:
		c.Bucket, c.AccessKeyID, c.SecretAccessKey = "bucket", "key", "secret"
	case domain.StorageMinIO:
		c.Bucket, c.AccessKey, c.SecretKey = "bucket", "key", "secret"
	case domain.StorageBackblaze:
		c.BucketName, c.ApplicationKeyID, c.ApplicationKey = "bucket", "key", "secret"
	}
	c.Normalize(kind)
	opts, err := s3.OptionsOf(kind, c)
	require.NoError(t, err)
	opts.Patience = 5 * time.Second
	return open(t, opts)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message><RequestId>R1</RequestId></Error>`, code, message)
}

func TestRefusalsAreClassifiedAndSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind    domain.StorageLocationType
		status  int
		code    string
		message string
		class   failure.Class
		hint    string
	}{
		"a server whose disk is full": {domain.StorageS3, 507, "InsufficientStorage", "No space left on device.", failure.StorageFull, "Free space"},
		"MinIO without space": {
			domain.StorageMinIO, 507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.", failure.StorageFull, "Free space",
		},
		"a MinIO bucket's quota": {domain.StorageMinIO, 400, "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded", failure.StorageFull, "Free space"},
		"a gateway's quota":      {domain.StorageS3, 403, "QuotaExceeded", "Your request was denied due to quota exceeded.", failure.StorageFull, "Free space"},
		"a Backblaze account's cap": {
			domain.StorageBackblaze, 403, "AccessDenied", "Cannot upload files, storage cap exceeded", failure.StorageFull, "Free space",
		},
		"a clock that is wrong": {
			domain.StorageS3, 403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
			failure.ConfigInvalid, "worker's clock",
		},
		"credentials that expired": {domain.StorageS3, 400, "ExpiredToken", "The provided token has expired.", failure.AuthFailed, "Renew"},
		"a policy that forbids it": {domain.StorageS3, 403, "AccessDenied", "Access Denied", failure.AuthFailed, "s3:PutObject"},
		"a storage class that is not there": {
			domain.StorageS3, 400, "InvalidStorageClass", "The storage class you specified is not valid", failure.ConfigInvalid, "storage_class",
		},
		"a MinIO in another region": {
			domain.StorageMinIO, 400, "AuthorizationHeaderMalformed",
			"The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'.", failure.ConfigInvalid, "type s3 with the same endpoint and region eu-central-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, test.status, test.code, test.message) })
			err := w.store(t, test.kind).Put(t.Context(), "key", strings.NewReader("x"), 1)
			require.Equal(t, test.class, failure.ClassOf(err), "%v", err)
			require.Contains(t, failure.HintOf(err), test.hint)
			require.Contains(t, err.Error(), test.code)
			require.Equal(t, test.class == failure.StorageFull, err != nil && strings.Contains(err.Error(), storage.ErrFull.Error()))
			require.Len(t, w.requests, 1, "it is permanent, so it is not tried again")
		})
	}
}

func TestABucketElsewhereNamesItsRegion(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
	})
	store := w.store(t, domain.StorageS3)
	for call, err := range everyCall(store) {
		require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err), "%s: %v", call, err)
		require.Equal(t, "Set the storage location's region to eu-west-1.", failure.HintOf(err), "%s: %v", call, err)
	}
}

func TestADeleteThatALockRefusesIsPermanentAndSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied because object protected by object lock.")
			return
		}
		_, _ = io.WriteString(w, `<?xml version="1.0"?><DeleteResult><Error><Key>kept</Key><Code>AccessDenied</Code>`+
			`<Message>Object is WORM protected and cannot be overwritten</Message></Error></DeleteResult>`)
	})
	store := w.store(t, domain.StorageMinIO)
	for call, err := range map[string]error{
		"one": store.Delete(t.Context(), "kept"), "many": store.DeleteMany(t.Context(), []string{"kept", "gone"}),
	} {
		require.Equal(t, failure.Unsupported, failure.ClassOf(err), "%s: %v", call, err)
		require.Contains(t, failure.HintOf(err), "retention ends", call)
	}
	require.Len(t, w.requests, 2, "nothing is tried again")
}

func TestAServiceWithoutBatchDeletesIsAskedOnceAndThenOneByOne(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			refuse(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented.")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	store := w.store(t, domain.StorageS3)
	for range 2 {
		require.NoError(t, store.DeleteMany(t.Context(), []string{"a", "b"}))
	}
	require.Len(t, w.requests, 1+2+2)
}

func TestABusyServiceIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n <= 2 {
			refuse(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
		}
	})
	once := struct{ io.Reader }{strings.NewReader("content")} // not even the caller could send it again
	require.NoError(t, w.store(t, domain.StorageS3).Put(t.Context(), "key", once, 7))
	require.Len(t, w.requests, 3)
	for _, body := range w.bodies {
		require.Equal(t, "content", string(body))
	}
}

func TestEachServiceGetsTheChecksumThatItTakes(t *testing.T) {
	t.Parallel()
	content := []byte("content")
	sum := sha256.Sum256(content)
	for kind, checksum := range map[domain.StorageLocationType]bool{
		domain.StorageMinIO: true, domain.StorageS3: false, domain.StorageBackblaze: false, // s3 with an endpoint is a look-alike
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWire(t, func(int, http.ResponseWriter, *http.Request) {})
			require.NoError(t, w.store(t, kind).Put(t.Context(), "key", bytes.NewReader(content), int64(len(content))))
			header := w.requests[0].Header
			for name := range header {
				known := name == "X-Amz-Checksum-Sha256" && checksum
				require.False(t, !known && (strings.HasPrefix(name, "X-Amz-Checksum") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum") ||
					name == "X-Amz-Trailer" || name == "Content-Encoding"), name)
			}
			if checksum {
				require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), header.Get("X-Amz-Checksum-Sha256"))
				require.Contains(t, header.Get("Authorization"), "x-amz-checksum-sha256", "it is signed")
				require.Equal(t, "UNSIGNED-PAYLOAD", header.Get("X-Amz-Content-Sha256"))
			} else {
				require.Equal(t, hex.EncodeToString(sum[:]), header.Get("X-Amz-Content-Sha256"))
			}
		})
	}
}

func TestAWSGetsChecksumsAndItsOwnHosts(t *testing.T) {
	t.Parallel()
	c := domain.StorageConfig{Bucket: "bucket", Region: "eu-west-1"}
	c.Normalize(domain.StorageS3)
	opts, err := s3.OptionsOf(domain.StorageS3, c)
	require.NoError(t, err)
	require.True(t, opts.Checksums)
	require.False(t, opts.PathStyle)
	require.Empty(t, opts.Endpoint)

	c = domain.StorageConfig{BucketName: "bucket", Region: "us-west-004"}
	opts, err = s3.OptionsOf(domain.StorageBackblaze, c)
	require.NoError(t, err)
	require.Equal(t, "https://s3.us-west-004.backblazeb2.com", opts.Endpoint)
	c = domain.StorageConfig{BucketName: "bucket", Endpoint: "https://s3.eu-central-003.backblazeb2.com"}
	opts, err = s3.OptionsOf(domain.StorageBackblaze, c)
	require.NoError(t, err)
	require.Equal(t, "eu-central-003", opts.Region)
}

func TestABucketThatAsksForContentMD5GetsIt(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Md5") == "" {
			refuse(w, http.StatusBadRequest, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
		}
	})
	store := w.store(t, domain.StorageBackblaze)
	for range 2 {
		require.NoError(t, store.Put(t.Context(), "key", strings.NewReader("content"), 7))
	}
	require.Len(t, w.requests, 3, "the bucket's wish is remembered")
	sum := md5.Sum([]byte("content")) //nolint:gosec // see above
	require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), w.requests[2].Header.Get("Content-Md5"))
}

func TestSettingsOfNewObjectsAreSent(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(int, http.ResponseWriter, *http.Request) {})
	c := domain.StorageConfig{
		Bucket: "bucket", Endpoint: w.URL, AccessKeyID: "key", SecretAccessKey: "secret", StorageClass: "STANDARD_IA",
		SSE: "aws:kms", SSEKMSKeyID: "arn:key", Prefix: "deep/er",
	}
	c.Normalize(domain.StorageS3)
	require.Empty(t, c.Validate(domain.StorageS3))
	opts, err := s3.OptionsOf(domain.StorageS3, c)
	require.NoError(t, err)
	put(t, open(t, opts), "a/b", "x")
	r := w.requests[0]
	require.Equal(t, "/bucket/deep/er/a/b", r.URL.Path)
	require.Equal(t, "STANDARD_IA", r.Header.Get("X-Amz-Storage-Class"))
	require.Equal(t, "aws:kms", r.Header.Get("X-Amz-Server-Side-Encryption"))
	require.Equal(t, "arn:key", r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"))
}

func TestWithoutKeysTheWorkersOwnCredentialsAreUsed(t *testing.T) {
	w := newWire(t, func(int, http.ResponseWriter, *http.Request) {})
	t.Setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	store := open(t, s3.Options{Bucket: "bucket", Region: "us-east-1", Endpoint: w.URL, PathStyle: true})
	put(t, store, "key", "x")
	require.Contains(t, w.requests[0].Header.Get("Authorization"), "Credential=from-the-environment/")
}

func TestWithoutAnyCredentialsTheHintSaysWhereToPutThem(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	store := open(t, s3.Options{Bucket: "bucket", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", PathStyle: true, Patience: time.Millisecond})
	_, err := store.Get(context.Background(), "key", 0, -1)
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "instance role")
}

func TestCredentialsWhoseServiceIsAwayAreWaitedFor(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret-token"), 0o600))
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup")
	away := newWire(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for name, endpoint := range map[string]string{"there is no connection": "http://127.0.0.1:1", "it is in trouble": away.URL} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_STS", endpoint)
			store := open(t, s3.Options{Bucket: "bucket", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", PathStyle: true, Patience: time.Millisecond})
			_, err := store.Get(context.Background(), "key", 0, -1)
			require.Equal(t, failure.Unreachable, failure.ClassOf(err), "%v", err)
			require.Contains(t, failure.HintOf(err), "STS")
			require.NotContains(t, err.Error(), "secret-token")
		})
	}
}

func TestAServiceThatDoesNotAnswerInTimeIsATimeout(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	w := newWire(t, func(int, http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := w.store(t, domain.StorageS3).Stat(ctx, "key")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, failure.Timeout, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "service is up")
}

func TestAnAnswerThatIgnoresTheRangeIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the whole object") })
	_, err := w.store(t, domain.StorageS3).Get(t.Context(), "key", 4, 5)
	require.Equal(t, failure.Unsupported, failure.ClassOf(err), "%v", err)
}

func TestAnAnswerThatNamesNoObjectIsNotTakenForAnUpload(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Del("ETag")
		_, _ = io.WriteString(w, "<html><body>Welcome to the console</body></html>")
	})
	err := w.store(t, domain.StorageMinIO).Put(t.Context(), "key", strings.NewReader("x"), 1)
	require.Equal(t, failure.Unsupported, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "endpoint")
}

func TestAServiceThatWantsContentMD5ForBatchDeletesGetsIt(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Md5") == "" {
			refuse(w, http.StatusBadRequest, "MissingContentMD5", "Missing required header for this request: Content-Md5.")
			return
		}
		_, _ = io.WriteString(w, `<?xml version="1.0"?><DeleteResult></DeleteResult>`)
	})
	store := w.store(t, domain.StorageMinIO)
	for range 2 {
		require.NoError(t, store.DeleteMany(t.Context(), []string{"a", "b"}))
	}
	require.Len(t, w.requests, 3, "the service's wish is remembered")
}
