package api

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load sends 500 requests a second for some seconds, each at its time whether or not the ones before are
// answered, and gives the median and the 99th percentile.
func (s speed) load(t *testing.T, paths []string) (half, last time.Duration) {
	t.Helper()
	const perSecond = 500
	seconds := 2
	if *speedLimit {
		seconds = 10
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	times, failed := make([]time.Duration, perSecond*seconds), make([]error, perSecond*seconds)
	var all sync.WaitGroup
	begin := time.Now()
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for n := range times {
		due := begin.Add(time.Duration(n) * time.Second / perSecond)
		for time.Now().Before(due) {
			<-tick.C
		}
		all.Go(func() {
			times[n], failed[n] = s.read(client, paths[n%len(paths)], due)
		})
	}
	all.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}

// read asks once; the time counts from when the request was due.
func (s speed) read(client *http.Client, path string, due time.Time) (time.Duration, error) {
	request, err := http.NewRequest(http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return time.Since(due), err
}
