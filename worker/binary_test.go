package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

func TestAProgramIsKnownByTheHashThatItsLinkerWrote(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	whole, err := exec.CommandContext(t.Context(), "go", "tool", "buildid", self).Output()
	require.NoError(t, err)
	parts := strings.Split(strings.TrimSpace(string(whole)), "/")
	require.Len(t, parts, 4)
	require.Equal(t, parts[3], contentID(self))
}

func TestAProgramWithoutSuchAHashIsLeftToTheSDK(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600))
	require.Empty(t, contentID(text))
	require.Empty(t, contentID(text+" that is not there"))
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	require.Empty(t, contentID(shell), "not a program of Go's")
}

func TestTheSDKKnowsTheProgramByIt(t *testing.T) {
	nameBinary()
	self, err := os.Executable()
	require.NoError(t, err)
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(func(ctx workflow.Context) (string, error) { return workflow.GetInfo(ctx).GetBinaryChecksum(), nil })
	var known string
	require.NoError(t, env.GetWorkflowResult(&known))
	require.Equal(t, contentID(self), known)
}
