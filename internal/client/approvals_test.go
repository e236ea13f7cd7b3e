package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/client"
)

func TestACallThatNeedsAnApprovalIsAnErrorUntilItHasOne(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Approval-Id") == "a1" {
			w.WriteHeader(http.StatusAccepted)
			_, _ = fmt.Fprint(w, `{"id":"e1"}`)
			return
		}
		w.Header().Set("Approval-Id", "a1")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, `{"detail":"another person must approve it","approval":{"id":"a1","status":"pending"}}`)
	}))
	t.Cleanup(server.Close)
	c := client.New(server.URL)
	_, err := c.Restore(context.Background(), "b1", client.RestoreRequest{})
	var needed *client.ApprovalNeeded
	require.ErrorAs(t, err, &needed)
	require.Equal(t, "a1", needed.Approval.ID)
	execution, err := c.Restore(client.WithApproval(context.Background(), needed.Approval.ID), "b1", client.RestoreRequest{})
	require.NoError(t, err)
	require.Equal(t, "e1", execution.ID)
}
