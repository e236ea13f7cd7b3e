package dataport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// thing is a content that a test watches.
type thing struct {
	data    io.ReaderAt
	size    int64
	fails   int64        // reading ends in an error at this offset, 0 never
	read    atomic.Int64 // bytes
	opened  chan span    // every Open
	closed  chan struct{}
	waiting chan struct{} // a Read waits for its context here, if it is not nil
}

func newThing(data string) *thing {
	return &thing{data: strings.NewReader(data), size: int64(len(data)), opened: make(chan span, 100), closed: make(chan struct{}, 100)}
}

func (c *thing) content() Content {
	return Content{
		Name: "thing, „größer\".bin", Type: "application/octet-stream", Size: c.size, ETag: `"v1"`,
		Modified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Open: c.open,
	}
}

func (c *thing) open(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	c.opened <- span{offset, length}
	if length < 0 {
		length = c.size - offset
	}
	return &thingReader{thing: c, ctx: ctx, section: io.NewSectionReader(c.data, offset, length), at: offset}, nil
}

type thingReader struct {
	*thing
	ctx     context.Context
	section *io.SectionReader
	at      int64
}

func (r *thingReader) Read(p []byte) (int, error) {
	if r.waiting != nil && r.at > 0 {
		close(r.waiting)
		<-r.ctx.Done()
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.fails > 0 && r.at >= r.fails {
		return 0, errors.New("the disk is broken")
	}
	n, err := r.section.Read(p)
	r.at += int64(n)
	r.read.Add(int64(n))
	return n, err
}

func (r *thingReader) Close() error { r.closed <- struct{}{}; return nil }

type log struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func port(t *testing.T, sources map[string]Source) (*Server, *log) {
	t.Helper()
	l := &log{}
	s, err := Serve(Options{Listen: "127.0.0.1:0", Key: ours, Pools: []string{"default"}, Sources: sources, Logger: slog.New(slog.NewTextHandler(l, nil))})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Stop(ctx)
	})
	return s, l
}

func serving(t *testing.T, c Content) (*Server, *log) {
	t.Helper()
	return port(t, map[string]Source{"thing": func(context.Context, json.RawMessage) (Content, error) { return c, nil }})
}

var aThing = Request{Kind: "thing", Pool: "default", Body: json.RawMessage(`{"path":"very/secret/path"}`)}

func get(t *testing.T, s *Server, headers ...string) *http.Response {
	t.Helper()
	header := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	answer, err := Client{ours}.Open(t.Context(), s.Offer(), aThing, header)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func body(t *testing.T, answer *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

func TestATransferIsTheWholeOrTheRangeThatIsAskedFor(t *testing.T) {
	const data = "0123456789"
	for name, c := range map[string]struct {
		headers []string
		status  int
		body    string
		opened  []span // what the storage was asked for
	}{
		"all of it":                              {nil, 200, data, []span{{0, -1}}},
		"a range":                                {[]string{"Range", "bytes=2-4"}, 206, "234", []span{{2, 3}}},
		"the rest":                               {[]string{"Range", "bytes=7-"}, 206, "789", []span{{7, -1}}},
		"the end":                                {[]string{"Range", "bytes=-2"}, 206, "89", []span{{8, -1}}},
		"a range beyond the end is cut":          {[]string{"Range", "bytes=8-100"}, 206, "89", []span{{8, -1}}},
		"a range behind the end is refused":      {[]string{"Range", "bytes=10-"}, 416, "", nil},
		"several ranges are all of it":           {[]string{"Range", "bytes=0-1,4-5"}, 200, data, []span{{0, -1}}},
		"a range of what it was":                 {[]string{"Range", "bytes=2-4", "If-Range", `"v1"`}, 206, "234", []span{{2, 3}}},
		"a range of what it was, and is no more": {[]string{"Range", "bytes=0-4", "If-Range", `"v0"`}, 200, data, []span{{0, 5}, {5, -1}}},
		"what the client has already":            {[]string{"If-None-Match", `"v1"`}, 304, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, want := c, newThing(data)
			s, _ := serving(t, want.content())
			answer := get(t, s, c.headers...)
			require.Equal(t, c.status, answer.StatusCode)
			got := body(t, answer)
			if c.status != 416 {
				require.Equal(t, c.body, got)
			}
			if c.status < 300 {
				require.Equal(t, `"v1"`, answer.Header.Get("ETag"))
				require.Equal(t, int64(len(c.body)), answer.ContentLength)
				require.Equal(t, "Fri, 02 Jan 2026 03:04:05 GMT", answer.Header.Get("Last-Modified"))
				require.Contains(t, answer.Header.Get("Content-Disposition"), "filename*=utf-8''thing%2C%20")
			}
			close(want.opened)
			var opened []span
			for o := range want.opened {
				opened = append(opened, o)
				<-want.closed
			}
			require.Equal(t, c.opened, opened)
		})
	}
}

func TestAnEmptyContentIsDelivered(t *testing.T) {
	s, _ := serving(t, newThing("").content())
	answer := get(t, s)
	require.Equal(t, int64(0), answer.ContentLength)
	require.Empty(t, body(t, answer))
}

func TestAReadThatFailsBreaksTheTransferOff(t *testing.T) {
	data := strings.Repeat("x", 1<<20)
	for name, content := range map[string]Content{
		"of a known size": func() Content { c := newThing(data); c.fails = 500_000; return c.content() }(),
		"of an object that got shorter": func() Content {
			c := newThing(data)
			c.size = 2 << 20
			return c.content()
		}(),
		"of a stream": {Type: "application/zip", Write: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, data)
			return errors.Join(err, errors.New("the disk is broken"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := serving(t, content)
			answer := get(t, s)
			require.Equal(t, http.StatusOK, answer.StatusCode)
			_, err := io.Copy(io.Discard, answer.Body)
			require.Error(t, err)
		})
	}
}

func TestAStreamEndsWell(t *testing.T) {
	closed := make(chan struct{})
	s, _ := serving(t, Content{
		Name: "a.zip", Type: "application/zip", Close: func() error { close(closed); return nil },
		Write: func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "all"); return err },
	})
	answer := get(t, s)
	require.Equal(t, "all", body(t, answer))
	<-closed
}

func TestAReaderThatGoesAwayEndsTheReadOnTheStorage(t *testing.T) {
	for name, leave := range map[string]func(cancel context.CancelFunc, answer *http.Response){
		"by closing the body": func(_ context.CancelFunc, answer *http.Response) { _ = answer.Body.Close() },
		"by its context":      func(cancel context.CancelFunc, _ *http.Response) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newThing(strings.Repeat("x", 1<<20))
			c.waiting = make(chan struct{})
			s, _ := serving(t, c.content())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answer, err := Client{ours}.Open(ctx, s.Offer(), aThing, nil)
			require.NoError(t, err)
			defer answer.Body.Close()
			_, err = io.ReadFull(answer.Body, make([]byte, 1000))
			require.NoError(t, err)
			<-c.waiting // the storage is being read
			leave(cancel, answer)
			<-c.closed
		})
	}
}

func TestASlowReaderSlowsTheReadOnTheStorage(t *testing.T) {
	const total, buffers = 256 << 20, 32 << 20 // what sockets and TLS may hold on the way
	c := &thing{data: zeros{}, size: total, opened: make(chan span, 1), closed: make(chan struct{}, 1)}
	s, _ := serving(t, c.content())
	answer := get(t, s)
	_, err := io.ReadFull(answer.Body, make([]byte, 1<<20))
	require.NoError(t, err)
	// Nothing more is taken: the reading comes to a stand.
	var before int64 = -1
	require.Eventually(t, func() bool {
		now := c.read.Load()
		still := now == before
		before = now
		return still
	}, 2*time.Minute, 300*time.Millisecond)
	require.Less(t, c.read.Load(), int64(buffers))
	n, err := io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.Equal(t, int64(total-1<<20), n)
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestAFailureBeforeTheFirstByteIsTold(t *testing.T) {
	s, _ := port(t, map[string]Source{"thing": func(context.Context, json.RawMessage) (Content, error) {
		return Content{}, failure.New(failure.NotFound, "stat object", "it is not there", "Look at the folder again.")
	}})
	_, err := Client{ours}.Open(t.Context(), s.Offer(), aThing, nil)
	require.Equal(t, failure.NotFound, failure.ClassOf(err))
	require.ErrorContains(t, err, "it is not there")
	require.Equal(t, "Look at the folder again.", failure.HintOf(err))
}

func TestAReadThatFailsBeforeTheFirstByteIsTold(t *testing.T) {
	broken := failure.New(failure.Corrupt, "read object x", "its SHA-256 is not the one in the manifest", "Use another copy.")
	atOnce := newThing("0123456789").content()
	atOnce.Open = func(context.Context, int64, int64) (io.ReadCloser, error) { return nil, broken }
	stream := Content{Type: "application/zip", Write: func(context.Context, io.Writer) error { return broken }}
	for name, content := range map[string]Content{"a file": atOnce, "a stream": stream} {
		s, _ := serving(t, content)
		_, err := Client{ours}.Open(t.Context(), s.Offer(), aThing, nil)
		require.Equal(t, failure.Corrupt, failure.ClassOf(err), name)
		require.Equal(t, "Use another copy.", failure.HintOf(err))
	}
}

func TestNobodyIsServedWithoutARight(t *testing.T) {
	s, l := serving(t, newThing("x").content())
	_, err := Client{theirs}.Open(t.Context(), s.Offer(), aThing, nil)
	require.ErrorIs(t, err, ErrOffer)
	// Even one who believes the offer.
	forged := s.Offer()
	forged.MAC = theirs.sign(forged)
	_, err = Client{theirs}.Open(t.Context(), forged, aThing, nil)
	require.Equal(t, failure.AuthFailed, failure.ClassOf(err))
	_, err = Client{ours}.Open(t.Context(), s.Offer(), Request{Kind: "thing", Pool: "site-b"}, nil)
	require.Equal(t, failure.Unsupported, failure.ClassOf(err))
	_, err = Client{ours}.Open(t.Context(), s.Offer(), Request{Kind: "other", Pool: "default"}, nil)
	require.Equal(t, failure.Unsupported, failure.ClassOf(err))
	// A port with another certificate is not talked to.
	other, _ := serving(t, newThing("x").content())
	moved := Offer{URL: s.Offer().URL, Certificate: other.Offer().Certificate}
	moved.MAC = ours.sign(moved)
	_, err = Client{ours}.Open(t.Context(), moved, aThing, nil)
	require.ErrorContains(t, err, "another certificate")
	require.Equal(t, failure.Unreachable, failure.ClassOf(err))
	// Without a ticket there is nothing to see.
	for _, target := range []string{"/", transferPath} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Offer().URL+target, nil)
		require.NoError(t, err)
		answer, err := transport(s.Offer()).RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNotFound, answer.StatusCode)
	}
	require.NotContains(t, l.String(), "secret/path")
	require.NotContains(t, l.String(), ticketScheme)
}

func TestAStopLetsTransfersFinishAndBreaksOffTheRest(t *testing.T) {
	c := newThing(strings.Repeat("x", 1<<20))
	c.waiting = make(chan struct{})
	s, _ := serving(t, c.content())
	answer := get(t, s)
	<-c.waiting
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { s.Stop(ctx); close(stopped) }()
	require.Eventually(t, func() bool {
		_, err := Client{ours}.Open(t.Context(), s.Offer(), aThing, nil)
		return failure.ClassOf(err) == failure.Unreachable
	}, 2*time.Minute, 10*time.Millisecond, "no new transfers")
	select {
	case <-stopped:
		t.Fatal("it did not wait")
	default:
	}
	cancel()
	<-stopped
	<-c.closed
	_, err := io.Copy(io.Discard, answer.Body)
	require.Error(t, err)
}

func TestAPortThatListensEverywhereIsOfferedUnderAnAddressOfThisMachine(t *testing.T) {
	s, err := Serve(Options{Listen: "0.0.0.0:0", Key: ours})
	require.NoError(t, err)
	defer s.Stop(t.Context())
	require.NotContains(t, s.Offer().URL, "0.0.0.0")
	s, err = Serve(Options{Listen: "127.0.0.1:0", URL: "https://worker.example:8444", Key: ours})
	require.NoError(t, err)
	defer s.Stop(t.Context())
	require.Equal(t, "https://worker.example:8444", s.Offer().URL)
	_, err = Serve(Options{Listen: "192.0.2.1:1", Key: ours})
	require.Equal(t, failure.ConfigInvalid, failure.ClassOf(err))
	require.Contains(t, failure.HintOf(err), "DATAGUARDIAN_DATA_LISTEN")
}
