package api

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// More refusals inside transactions at once than the pool has connections: each used to hold one and to wait for another.
func TestRefusalsDoNotWaitForEachOthersConnections(t *testing.T) {
	l := newLimited(t, object{"resource": "datasource", "tag": "team-a"})
	before := len(l.audits("access.refused"))
	const many = 40
	answers := make([]reply, many)
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() {
			answers[i] = l.ana.direct("PATCH", "/api/datasources/"+l.datasource, "application/json", `{"tags": ["team-b"]}`)
		})
	}
	asking.Wait()
	for _, answer := range answers {
		require.Equal(t, http.StatusForbidden, answer.status, answer.text)
	}
	require.Len(t, l.audits("access.refused"), before+many, "each is told once")
}
