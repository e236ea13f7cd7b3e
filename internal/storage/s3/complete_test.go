package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func TestAnUploadWhoseLastAnswerIsLostSucceeds(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(server.Endpoint())
	require.NoError(t, err)
	var lost atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ModifyResponse: func(r *http.Response) error {
			if isComplete(r.Request) && lost.CompareAndSwap(0, 1) {
				_, _ = io.Copy(io.Discard, r.Body)
				return errors.New("the answer is lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isComplete(r) && lost.Load() > 0 { // versitygw remembers what it completed; MinIO and others do not
			refuse(w, http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist.")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	opts := options(t, domain.StorageS3, server, bucket(t, server), "")
	opts.Endpoint = between.URL
	store := open(t, opts).WithSmallLimits()
	content := random(11 << 20)
	// Nobody could send this body again.
	require.NoError(t, store.Put(t.Context(), "key", io.MultiReader(bytes.NewReader(content)), int64(len(content))))
	require.EqualValues(t, 1, lost.Load())
	require.True(t, bytes.Equal(content, read(t, store, "key")))
}

func TestAnOlderObjectIsNotTakenForAnUploadThatTheServiceForgot(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch {
		case isComplete(r):
			refuse(w, http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist.")
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodHead:
			w.Header().Set("X-Amz-Meta-Dataguardian-Upload", "of another upload")
		default:
			w.Header().Set("ETag", `"part"`)
		}
	})
	store := w.store(t, domain.StorageS3).WithSmallLimits()
	err := store.Put(context.Background(), "key", strings.NewReader(strings.Repeat("x", 7<<20)), 7<<20)
	require.ErrorContains(t, err, "NoSuchUpload")
}
