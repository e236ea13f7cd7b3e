package worker

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/dataguardian/dataguardian/activities"
)

// registry remembers the names that were registered.
type registry struct {
	sdk.Registry
	workflows, activities []string
}

func (r *registry) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.workflows = append(r.workflows, o.Name)
}

func (r *registry) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	r.activities = append(r.activities, o.Name)
}

func TestEveryHandleOfTheContractIsRegisteredOnce(t *testing.T) {
	var r registry
	RegisterWorkflows(&r)
	activities.New(activities.Options{}).Register(&r)
	require.Equal(t, handles(t, "Workflow"), sorted(r.workflows))
	require.Equal(t, handles(t, "Activity"), sorted(r.activities))
}

// handles reads the names of the contract's handles of one kind from its source, so that a handle
// which nobody registers can not be forgotten in a list.
func handles(t *testing.T, kind string) []string {
	t.Helper()
	var names []string
	files, err := filepath.Glob("../internal/contract/*.go")
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			generic, ok := literal.Type.(*ast.IndexListExpr)
			if !ok || generic.X.(*ast.Ident).Name != kind {
				return true
			}
			name, err := strconv.Unquote(literal.Elts[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			names = append(names, name)
			return true
		})
	}
	require.NotEmpty(t, names)
	return sorted(names)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

func TestAWorkerWithoutAPoolIsRefused(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "--pools")
}

func TestARunURLEscapesItsParts(t *testing.T) {
	link := runURL("http://127.0.0.1:8233/", "data guardian")
	require.Equal(t, "http://127.0.0.1:8233/namespaces/data%20guardian/workflows/backup-1/run/history", link("backup-1", "run"))
	require.Nil(t, runURL("", "x"))
}
