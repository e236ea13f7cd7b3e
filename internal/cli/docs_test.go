package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

var (
	span = regexp.MustCompile("`([^`]+)`")
	word = regexp.MustCompile(`"[^"]*"|\S+`)
	// pathSpan is an operation as the tour names it: one with … in its path goes on from the one before.
	pathSpan = regexp.MustCompile(`^((?:(?:GET|POST|PATCH|PUT|DELETE)(?:, )?)+) (/api/[^?…]*)(?:\?.*)?$`)
)

// tour is the table in docs/api.md: what, by the client, by the API.
func tour(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| what | by the client | by the API |\n|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	var rows [][]string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		require.Len(t, cells, 5, line)
		rows = append(rows, cells)
	}
	require.Greater(t, len(rows), 20)
	return rows
}

// TestTheCommandsOfTheTourAreCommands: each is found, and takes the flags and the arguments that are shown.
func TestTheCommandsOfTheTourAreCommands(t *testing.T) {
	checked, line := 0, ""
	for _, row := range tour(t) {
		for _, match := range span.FindAllStringSubmatch(row[2], -1) {
			switch text := match[1]; {
			case strings.HasPrefix(text, "… "): // more of the command before
				line += " " + strings.TrimPrefix(text, "… ")
			case text == "--approval ID": // of whichever command was asked for
				continue
			case strings.HasPrefix(text, "--"):
				line += " " + text
			default:
				line = strings.TrimPrefix(text, "dataguardian ")
			}
			requireCommand(t, strings.TrimSuffix(line, " …"))
			checked++
		}
	}
	require.Greater(t, checked, 40)
	for _, page := range []string{"README.md", "docs/api.md", "docs/operations.md", "docs/notifications.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
		require.NoError(t, err)
		for _, match := range span.FindAllStringSubmatch(string(text), -1) {
			line, ours := strings.CutPrefix(match[1], "dataguardian ")
			if first, _, _ := strings.Cut(line, " "); ours && first != "RESOURCE" && isClients(first) && line != "user reset-password" && line != "apply -f" {
				requireCommand(t, strings.TrimSuffix(line, " …"))
			}
		}
	}
}

func clientRoot() *cobra.Command {
	root := &cobra.Command{Use: "dataguardian"}
	root.AddGroup(&cobra.Group{ID: GroupID})
	root.AddCommand(Commands(Options{AddFlags: func(*pflag.FlagSet) {}})...)
	return root
}

func isClients(name string) bool {
	return slices.ContainsFunc(clientRoot().Commands(), func(c *cobra.Command) bool { return c.Name() == name })
}

func requireCommand(t *testing.T, line string) {
	t.Helper()
	words := word.FindAllString(line, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `"`)
	}
	command, rest, err := clientRoot().Find(words)
	require.NoError(t, err, line)
	require.True(t, command.Runnable(), "%s: there is no such command", line)
	require.NoError(t, command.ParseFlags(rest), line)
	require.NoError(t, command.ValidateArgs(command.Flags().Args()), line)
}

// TestTheOperationsOfTheTourAreOperations holds the other column of the table against the document.
func TestTheOperationsOfTheTourAreOperations(t *testing.T) {
	paths, checked := readDocument(t).Paths, 0
	for _, row := range tour(t) {
		for _, match := range span.FindAllStringSubmatch(row[3], -1) {
			operation := pathSpan.FindStringSubmatch(match[1])
			if operation == nil {
				continue
			}
			item, found := paths[operation[2]]
			require.True(t, found, "%s: there is no such path", match[1])
			for _, method := range strings.Split(operation[1], ", ") {
				require.Contains(t, item, strings.ToLower(method), match[1])
				checked++
			}
		}
	}
	require.Greater(t, checked, 15)
}
