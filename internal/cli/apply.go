package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/dataguardian/dataguardian/internal/client"
)

const configPath = "/api/system/config"

func (a *app) exportCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "export",
		Short: "Print the configuration as a document that apply reads",
		Long:  "Print the configuration as a document that apply reads. Secrets show as ********, which keeps the stored ones when it is applied.",
		Args:  exactly(),
	}
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		document, err := s.Do(ctx, client.Call{Method: http.MethodGet, Path: configPath})
		if err != nil {
			return err
		}
		if s.printer.format == formatJSON {
			if document, err = yaml.YAMLToJSON(document); err != nil {
				return fmt.Errorf("read the document: %w", err)
			}
			return s.printer.one(document)
		}
		_, err = s.cmd.OutOrStdout().Write(document)
		return err
	})
	return command
}

func (a *app) applyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the configuration what a document says",
		Long: "Make the configuration what a document in YAML or JSON says, all of it or nothing. What is not in the document is left alone.\n\n" +
			"A secret is ******** to keep the stored one, or a reference that is resolved here, before the document is sent:\n" +
			"  password: {from_env: ORDERS_PASSWORD}\n" +
			"  password: {from_file: orders.password}    # relative to the document; without the line's end",
		Args: exactly(),
	}
	var file string
	var dryRun bool
	command.Flags().StringVarP(&file, "file", "f", "", "the document; - is standard input")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would change")
	command.RunE = a.run(func(ctx context.Context, s *session, _ []string) error {
		if file == "" {
			return BadUsage(command, "give the document with -f")
		}
		document, err := a.readConfig(command, file)
		if err != nil {
			return err
		}
		query := url.Values{}
		if dryRun {
			query.Set("dry_run", "true")
		}
		answer, err := s.Do(ctx, client.Call{Method: http.MethodPost, Path: configPath, Query: query, Body: document})
		if err != nil {
			return err
		}
		if !s.printer.table() {
			return s.printer.one(answer)
		}
		return s.showChanges(answer)
	})
	return command
}

// showChanges prints what became of a document, and each field that changed.
func (s *session) showChanges(answer json.RawMessage) error {
	value, err := decode(answer)
	if err != nil {
		return err
	}
	changes, _ := at(value, "changes").([]any)
	counts := map[string]int{}
	for _, change := range changes {
		action := text(at(change, "action"))
		counts[action]++
		if action == "unchanged" {
			continue
		}
		if err := s.printer.line(fmt.Sprintf("%s %s %s", action, text(at(change, "kind")), text(at(change, "name")))); err != nil {
			return err
		}
		for _, line := range differences(at(change, "changes")) {
			if _, err := fmt.Fprintln(s.cmd.OutOrStdout(), "  "+clean(line)); err != nil {
				return err
			}
		}
	}
	end := "applied"
	if dry, _ := at(value, "dry_run").(bool); dry {
		end = "dry run, nothing was changed"
	}
	return s.printer.line(fmt.Sprintf("%d created, %d updated, %d unchanged: %s", counts["create"], counts["update"], counts["unchanged"], end))
}

// differences writes the fields of a change that has a before.
func differences(changes any) []string {
	before, after := at(changes, "before"), at(changes, "after")
	if before == nil {
		return nil
	}
	was := map[string]string{}
	for _, row := range flatten("", before) {
		was[row[0]] = row[1]
	}
	var lines []string
	for _, row := range flatten("", after) {
		if row[0] != "" && was[row[0]] != row[1] {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", row[0], text(orNil(was[row[0]])), row[1]))
		}
		delete(was, row[0])
	}
	for _, path := range slices.Sorted(maps.Keys(was)) { // what is no longer there
		if path != "" && was[path] != "-" {
			lines = append(lines, fmt.Sprintf("%s: %s → -", path, was[path]))
		}
	}
	if secrets, ok := at(changes, "secrets_replaced").([]any); ok {
		lines = append(lines, "secrets replaced: "+textOfList(secrets))
	}
	return lines
}

func orNil(value string) any {
	if value == "" {
		return nil
	}
	return value
}

// readConfig reads a document and resolves its references.
func (a *app) readConfig(cmd *cobra.Command, file string) (any, error) {
	content, err := readInput(cmd, file)
	if err != nil {
		return nil, err
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return nil, BadUsage(cmd, "%s is neither JSON nor YAML: %v", file, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, BadUsage(cmd, "%s is not a document: %v", file, err)
	}
	dir := "."
	if file != "-" {
		dir = filepath.Dir(file)
	}
	return a.resolve(cmd, "", document, dir)
}

// resolve replaces references by what they refer to.
func (a *app) resolve(cmd *cobra.Command, path string, value any, dir string) (any, error) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			resolved, err := a.resolve(cmd, fmt.Sprintf("%s[%d]", path, i), item, dir)
			if err != nil {
				return nil, err
			}
			v[i] = resolved
		}
	case map[string]any:
		if name, isText := v["from_env"].(string); isText && len(v) == 1 {
			found, set := a.options.LookupEnv(name)
			if !set || found == "" {
				return nil, BadUsage(cmd, "%s refers to the environment variable %s, which is not set", path, name)
			}
			return found, nil
		}
		if name, isText := v["from_file"].(string); isText && len(v) == 1 {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			content, err := readInput(cmd, name)
			return trimLine(string(content)), err
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			resolved, err := a.resolve(cmd, strings.TrimPrefix(path+"."+name, "."), v[name], dir)
			if err != nil {
				return nil, err
			}
			v[name] = resolved
		}
	}
	return value, nil
}
