package s3_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func namesOf(t *testing.T, store storage.Store, folder, after string) []string {
	t.Helper()
	names := []string{}
	require.NoError(t, storage.ListFolder(t.Context(), store, folder, after, func(e storage.Entry) error {
		names = append(names, e.Name)
		return nil
	}))
	return names
}

func TestAFolderOfManyPagesShowsEveryEntryOnce(t *testing.T) {
	t.Parallel()
	name := bucket(t, server)
	store := open(t, options(t, domain.StorageS3, server, name, "some/where"))
	put(t, open(t, options(t, domain.StorageS3, server, name, "")), "some/elsewhere", "not below the prefix")
	var want []string
	for i := range 8 {
		for _, key := range []string{"%d", "%d-/x", "%d./x/y", "%d0/x", "%d0/y"} {
			key = fmt.Sprintf(key, i)
			put(t, store, key, "x")
			if at := strings.IndexByte(key, '/'); at >= 0 {
				key = key[:at+1]
			}
			want = append(want, key)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	for _, page := range []int32{1, 2, 3, 5, 0} {
		store.WithPages(page)
		require.Equal(t, want, namesOf(t, store, "", ""), "pages of %d", page)
		for i, after := range want {
			require.Equal(t, append([]string{}, want[i+1:]...), namesOf(t, store, "", after), "pages of %d after %s", page, after)
		}
	}
}

// page is a page of a listing as services write it.
func page(next string, content ...string) string {
	end := "<IsTruncated>false</IsTruncated>"
	if next != "" {
		end = "<IsTruncated>true</IsTruncated><NextContinuationToken>" + next + "</NextContinuationToken>"
	}
	return `<?xml version="1.0"?><ListBucketResult>` + end + strings.Join(content, "") + `</ListBucketResult>`
}

func file(name string) string {
	return "<Contents><Key>" + name + "</Key><Size>1</Size><LastModified>2026-01-02T03:04:05Z</LastModified></Contents>"
}

func folder(name string) string {
	return "<CommonPrefixes><Prefix>" + name + "/</Prefix></CommonPrefixes>"
}

func TestAFolderIsListedWithoutWhatIsBelowItsFolders(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(n int, response http.ResponseWriter, _ *http.Request) {
		answer := page("more", file("f/"), file("f/b"), file("f/b//odd"), folder("f/a"), folder("f/c"))
		if n > 1 { // a service may roll a folder up again on the page on which what is below it goes on
			answer = page("", file("f/d"), folder("f/c"), folder("f/"), folder("f/.."))
		}
		_, _ = response.Write([]byte(answer))
	})
	store := w.store(t, domain.StorageS3)
	require.Equal(t, []string{"a/", "b", "c/", "d"}, namesOf(t, store, "f", ""))
	require.Len(t, w.requests, 2, "one for every page")
	for _, request := range w.requests {
		require.Equal(t, "/", request.URL.Query().Get("delimiter"))
		require.Equal(t, "f/", request.URL.Query().Get("prefix"))
	}
	require.Equal(t, []string{"d"}, namesOf(t, store, "f", "c/"), "of a service that does not know start-after")
	require.Equal(t, "f/c/", w.requests[2].URL.Query().Get("start-after"))
}

func TestAFolderThatIsNotSortedIsToldNotShortened(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(n int, response http.ResponseWriter, _ *http.Request) {
		answer := page("more", file("b"))
		if n > 1 {
			answer = page("", folder("a"))
		}
		_, _ = response.Write([]byte(answer))
	})
	err := storage.ListFolder(t.Context(), w.store(t, domain.StorageS3), "", "", func(storage.Entry) error { return nil })
	require.Equal(t, failure.Unsupported, failure.ClassOf(err), "%v", err)
	require.Contains(t, failure.HintOf(err), "directory buckets")
}
