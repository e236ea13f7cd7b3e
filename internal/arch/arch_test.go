package arch

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed is what `go list -json` says about a package.
type listed struct {
	ImportPath, Dir                    string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

func (l listed) path() string { return strings.TrimPrefix(l.ImportPath, module) }

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, r := range rules {
			imports := p.Imports
			if r.tests {
				imports = slices.Concat(p.Imports, p.TestImports, ourOwn(p.XTestImports))
			}
			for _, imported := range imports {
				if why := r.broken(p.path(), imported); why != "" {
					t.Errorf("%s: %s", p.path(), why)
				}
			}
		}
	}
}

// Tests may use real servers and other packages' fixtures, so they follow two rules only.
func TestTestsOfWorkflowsAndTheAPIStayOnTheirSide(t *testing.T) {
	loose := []rule{
		{packages: "workflows/...", forbid: []string{"db/...", "api/...", "internal/engine/...", "internal/storage/...", "internal/standalone/..."},
			reason: "workflows are tested with the SDK's test environment and recorded histories"},
		{packages: "api/...", forbid: []string{"workflows/...", "activities/...", "internal/engine/...", "internal/archive/...", "internal/storage/..."},
			reason: "what the API starts is tested end to end in integration/"},
	}
	for _, p := range packages(t) {
		for _, r := range loose {
			for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
				if why := r.broken(p.path(), imported); why != "" {
					t.Errorf("tests of %s: %s", p.path(), why)
				}
			}
		}
	}
}

func TestNoPackageHasAVagueName(t *testing.T) {
	for _, p := range packages(t) {
		require.NotContains(t, vagueNames, path.Base(p.path()), "%s: name it after what it is for", p.path())
	}
}

func TestOnlyConfigReadsTheEnvironment(t *testing.T) {
	readers := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}
	for _, p := range packages(t) {
		if matchesAny([]string{"internal/config", "integration/..."}, p.path()) { // integration holds test programs
			continue
		}
		for _, name := range p.GoFiles {
			eachCall(t, filepath.Join(p.Dir, name), func(position token.Position, pkg, function string, call *ast.CallExpr) {
				if pkg == "os" && slices.Contains(readers, function) && !isPath(call) {
					t.Errorf("%s: os.%s: only internal/config reads the environment, so that .env.example and --help can tell all of it", position, function)
				}
			})
		}
	}
}

// isPath reports whether the call asks for PATH, which child processes are given and every
// program's start looks at; it is not a setting of ours.
func isPath(call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	return ok && literal.Value == `"PATH"`
}

func TestRulesAreBrokenByWhatTheyForbid(t *testing.T) {
	tests := map[string]struct {
		from, imported string
		broken         bool
	}{
		"a workflow that imports an activity":             {"workflows", module + "activities", true},
		"a workflow that imports the contract":            {"workflows", module + "internal/contract", false},
		"a workflow that makes a uuid":                    {"workflows", "github.com/google/uuid", true},
		"an engine that imports a storage":                {"internal/engine/postgres", module + "internal/storage", true},
		"an engine that imports its parent":               {"internal/engine/postgres", module + "internal/engine", false},
		"the API that opens a storage":                    {"api", module + "internal/storage/open", true},
		"an activity that imports the server":             {"activities", "go.temporal.io/server/temporal", true},
		"standalone that imports the server":              {"internal/standalone/temporalserver", "go.temporal.io/server/temporal", false},
		"a worker that reads the settings":                {"worker", module + "internal/config", true},
		"a package whose name only begins like a pattern": {"apiary", module + "activities", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			broken := slices.ContainsFunc(rules, func(r rule) bool { return r.broken(test.from, test.imported) != "" })
			require.Equal(t, test.broken, broken)
		})
	}
}

// packages lists every package of the module.
func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", module+"...")
	command.Dir = filepath.Join("..", "..")
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	require.NoError(t, err, problems.String())
	var all []listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var one listed
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all = append(all, one)
	}
	require.Greater(t, len(all), 20, "go list found the module")
	return all
}

func ourOwn(imports []string) []string {
	return slices.DeleteFunc(slices.Clone(imports), func(imported string) bool { return !strings.HasPrefix(imported, module) })
}

// eachCall visits the calls pkg.function(…) of a file.
func eachCall(t *testing.T, file string, visit func(position token.Position, pkg, function string, call *ast.CallExpr)) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(parsed, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
			if pkg, ok := selector.X.(*ast.Ident); ok {
				visit(files.Position(call.Pos()), pkg.Name, selector.Sel.Name, call)
			}
		}
		return true
	})
}
