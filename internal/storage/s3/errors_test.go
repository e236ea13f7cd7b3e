package s3_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/s3"
	"github.com/dataguardian/dataguardian/internal/storage/s3/s3server"
)

// everyCall makes each call of a store once and returns what each said.
func everyCall(store storage.Store) map[string]error {
	ctx := context.Background()
	_, getErr := store.Get(ctx, "key", 0, -1)
	_, statErr := store.Stat(ctx, "key")
	_, usageErr := store.Usage(ctx)
	return map[string]error{
		"put": store.Put(ctx, "key", strings.NewReader("x"), 1), "get": getErr, "stat": statErr, "usage": usageErr,
		"list":   store.List(ctx, "", func(storage.Object) error { return nil }),
		"delete": store.Delete(ctx, "key"), "copy": store.Copy(ctx, "key", "other"),
	}
}

func TestWhatIsWrongWithALocationIsSaidByEveryCall(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*s3.Options)
		class  failure.Class
		text   string
		hint   string
	}{
		"an unknown access key": {
			change: func(o *s3.Options) { o.AccessKeyID = "nobody" }, class: failure.AuthFailed, text: "access key ID", hint: "access key",
		},
		"a wrong secret": {
			change: func(o *s3.Options) { o.SecretAccessKey = "wrong-secret" }, class: failure.AuthFailed, text: "SignatureDoesNotMatch", hint: "secret",
		},
		"a bucket that does not exist": {
			change: func(o *s3.Options) { o.Bucket = "missing-bucket" }, class: failure.ConfigInvalid, text: "missing-bucket", hint: "Create the bucket",
		},
		"another region": {
			change: func(o *s3.Options) { o.Region = "eu-west-3" }, class: failure.ConfigInvalid, text: "eu-west-3", hint: "region to us-east-1",
		},
		"a server that is not there": {
			change: func(o *s3.Options) { o.Endpoint = "http://127.0.0.1:1" }, class: failure.Unreachable, text: "127.0.0.1:1", hint: "service is up",
		},
		"a name that nobody has": {
			change: func(o *s3.Options) { o.Endpoint = "http://s3.invalid" }, class: failure.Unreachable, text: "s3.invalid", hint: "endpoint is right",
		},
		"HTTPS to a server without it": {
			change: func(o *s3.Options) { o.Endpoint = strings.Replace(o.Endpoint, "http:", "https:", 1) }, class: failure.ConfigInvalid,
			text: "HTTP response to HTTPS client", hint: "use_ssl",
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t, domain.StorageS3, server, bucket(t, server), "")
			opts.Patience = time.Millisecond
			test.change(&opts)
			for call, err := range everyCall(open(t, opts)) {
				require.Equal(t, test.class, failure.ClassOf(err), "%s: %v", call, err)
				require.Contains(t, err.Error(), test.text, call)
				require.Contains(t, failure.HintOf(err), test.hint, "%s: %v", call, err)
				require.NotErrorIs(t, err, storage.ErrNotFound, call)
				require.NotContains(t, failure.Message(err), opts.SecretAccessKey, call)
			}
		})
	}
}

func TestAReadOnlyServiceIsSaidToRefuse(t *testing.T) {
	dir := t.TempDir()
	writable, err := s3server.Start(t.Context(), s3server.Options{Dir: dir})
	require.NoError(t, err)
	name := bucket(t, writable)
	put(t, open(t, options(t, domain.StorageS3, writable, name, "")), "key", "x")
	writable.Stop()
	readOnly, err := s3server.Start(t.Context(), s3server.Options{Dir: dir, ReadOnly: true})
	require.NoError(t, err)
	defer readOnly.Stop()

	store := open(t, options(t, domain.StorageS3, readOnly, name, ""))
	for call, err := range everyCall(store) {
		switch call {
		case "put", "delete", "copy":
			require.Equal(t, failure.AuthFailed, failure.ClassOf(err), "%s: %v", call, err)
			require.Contains(t, failure.HintOf(err), "s3:PutObject", call)
		default:
			require.NoError(t, err, call)
		}
	}
}
