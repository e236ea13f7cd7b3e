package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// documentFlags make a request's body: a file, over it the fields that have a flag, over them --set, and the secrets.
type documentFlags struct {
	file         string
	sets, texts  []string
	secrets      []string
	fields       []field
	usedStandard bool // standard input was read
}

func addDocumentFlags(cmd *cobra.Command, fields []field) *documentFlags {
	f := &documentFlags{fields: fields}
	set := cmd.Flags()
	set.StringVarP(&f.file, "file", "f", "", "read the document from a file in JSON or YAML; - is standard input")
	set.StringArrayVar(&f.sets, "set", nil, "field=value, for example connection_config.port=5433; numbers, true, false, null and JSON are read as such")
	set.StringArrayVar(&f.texts, "set-string", nil, "field=value, always as text")
	set.StringArrayVar(&f.secrets, "secret-from", nil, "field=path of a file that holds a secret, for example connection_config.password=db.pw; - asks on the terminal or reads standard input")
	return f
}

// document builds the body. lookUp turns names into ids where a field holds an id.
func (f *documentFlags) document(cmd *cobra.Command, lookUp func(field, string) (any, error)) (map[string]any, error) {
	document := map[string]any{}
	if f.file != "" {
		if err := f.readFile(cmd, document); err != nil {
			return nil, err
		}
	}
	for _, field := range f.fields {
		if name, isText := at(document, field.path).(string); isText && name != "" && field.of != "" {
			id, err := lookUp(field, name)
			if err != nil {
				return nil, err
			}
			put(document, field.path, id)
		}
		value, given, err := field.given(cmd)
		if err != nil {
			return nil, err
		}
		if !given {
			continue
		}
		if name, isText := value.(string); isText && field.of != "" {
			if value, err = lookUp(field, name); err != nil {
				return nil, err
			}
		}
		put(document, field.path, value)
	}
	if err := f.applySets(cmd, document, lookUp); err != nil {
		return nil, err
	}
	return document, f.applySecrets(cmd, document)
}

func (f *documentFlags) readFile(cmd *cobra.Command, into map[string]any) error {
	text, err := f.read(cmd, f.file)
	if err != nil {
		return err
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return BadUsage(cmd, "%s is neither JSON nor YAML: %v", f.file, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	if err := decoder.Decode(&into); err != nil {
		return BadUsage(cmd, "%s does not hold one document: %v", f.file, err)
	}
	return nil
}

func (f *documentFlags) applySets(cmd *cobra.Command, document map[string]any, lookUp func(field, string) (any, error)) error {
	for i, assignment := range append(append([]string{}, f.sets...), f.texts...) {
		path, text, found := strings.Cut(assignment, "=")
		if !found || path == "" {
			return BadUsage(cmd, "%q is not field=value", assignment)
		}
		if secretField(path) && text != "" {
			return BadUsage(cmd, "%s is a secret, and a command line is readable by every process of the machine; use --secret-from %s=FILE (or =- for standard input)", path, path)
		}
		var value any = text
		if i < len(f.sets) {
			value = scalar(text)
		}
		if inside := secretInside(path, value); inside != "" {
			return BadUsage(cmd, "%s holds a secret, and a command line is readable by every process of the machine; use --secret-from %s=FILE, or -f for the document", inside, inside)
		}
		for _, field := range f.fields {
			if field.path == path && field.of != "" && text != "" {
				var err error
				if value, err = lookUp(field, text); err != nil {
					return err
				}
			}
		}
		put(document, path, value)
	}
	return nil
}

func (f *documentFlags) applySecrets(cmd *cobra.Command, document map[string]any) error {
	for _, assignment := range f.secrets {
		path, source, found := strings.Cut(assignment, "=")
		if !found || path == "" || source == "" {
			return BadUsage(cmd, "--secret-from wants field=path")
		}
		secret, err := f.secret(cmd, path, source)
		if err != nil {
			return err
		}
		put(document, path, secret)
	}
	return nil
}

// secret reads one from a file, the terminal or standard input, without the line's end.
func (f *documentFlags) secret(cmd *cobra.Command, what, source string) (string, error) {
	if source == "-" && onTerminal(cmd) {
		return ask(cmd, what+": ", true)
	}
	text, err := f.read(cmd, source)
	if err != nil {
		return "", err
	}
	return trimLine(string(text)), nil
}

// read reads a file, or standard input for "-", once.
func (f *documentFlags) read(cmd *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		if f.usedStandard {
			return nil, BadUsage(cmd, "standard input can be read once; give files for the others")
		}
		f.usedStandard = true
	}
	return readInput(cmd, path)
}

const maxInput = 1 << 20 // as much as the API takes

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the caller names it
		if err != nil {
			return nil, Error{err, exitUsage}
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxInput {
		return nil, BadUsage(cmd, "%s is larger than %d bytes, which is all that the API takes", path, maxInput)
	}
	return text, nil
}

// scalar reads a value as JSON where it is any, else as the text that it is.
func scalar(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return text
	}
	return value
}

// put sets the member of a document at a dotted path.
func put(document map[string]any, path string, value any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, ok := document[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			document[name] = inner
		}
		document = inner
	}
	document[names[len(names)-1]] = value
}

// secretNames are the fields of the API that are write-only.
var secretNames = map[string]bool{
	"password": true, "private_key": true, "passphrase": true, "secret_access_key": true, "secret_key": true, "application_key": true,
	"secret": true, "api_key": true, "access_token": true, "token": true, "identity": true, "uri": true, "current_password": true, "new_password": true,
}

func secretField(path string) bool {
	return secretNames[path[strings.LastIndex(path, ".")+1:]]
}

// secretInside is the path of a secret in a value that is JSON, "" when there is none. The values of headers are secret.
func secretInside(path string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			at := path + "." + name
			text, isText := v[name].(string)
			if isText && text != "" && (secretField(at) || strings.HasSuffix(at, "headers.value")) {
				return at
			}
			if found := secretInside(at, v[name]); found != "" {
				return found
			}
		}
	case []any:
		for _, item := range v {
			if found := secretInside(path, item); found != "" {
				return found
			}
		}
	}
	return ""
}

// onTerminal reports whether a person can be asked.
func onTerminal(cmd *cobra.Command) bool {
	file, ok := cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask reads a line from the person at the terminal, without showing it where it is secret.
func ask(cmd *cobra.Command, prompt string, secret bool) (string, error) {
	cmd.PrintErr(prompt)
	if file, ok := cmd.InOrStdin().(*os.File); ok && secret && term.IsTerminal(int(file.Fd())) {
		text, err := term.ReadPassword(int(file.Fd()))
		cmd.PrintErrln()
		if err != nil {
			return "", fmt.Errorf("read from the terminal: %w", err)
		}
		return string(text), nil
	}
	line, err := readLine(cmd.InOrStdin())
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return line, nil
}

// readLine reads up to the end of a line and no further: what follows is for the next question.
func readLine(in io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < maxInput {
		n, err := in.Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		line = append(line, one[:n]...)
		if errors.Is(err, io.EOF) && len(line) > 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}

func trimLine(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}
