package domain_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// secretText is put into every field that clients may write and not read.
const secretText = "https://secret.example/made-up"

// Manifests, executions and audits keep options without secrets: each field that is documented as write-only must be known to
// be one, also a field that is new.
func TestOptionsAreKeptWithoutAnyWriteOnlyField(t *testing.T) {
	options := domain.BackupOptions{
		ReferencedFiles: &domain.ReferencedFiles{},
		Hooks:           &domain.Hooks{Before: make([]domain.Hook, 1), AfterSuccess: make([]domain.Hook, 2), AfterFailure: make([]domain.Hook, 1)},
	}
	require.Equal(t, 8, fillWriteOnly(reflect.ValueOf(&options).Elem()), "the login's three, four addresses of hooks and that of the heartbeat")
	kept, err := json.Marshal(options.WithoutSecrets())
	require.NoError(t, err)
	require.NotContains(t, string(kept), secretText)
	whole, err := json.Marshal(options)
	require.NoError(t, err)
	require.Equal(t, 8, strings.Count(string(whole), secretText), "the original keeps its secrets")
}

// fillWriteOnly fills the fields that are documented as write-only, and gives their number.
func fillWriteOnly(v reflect.Value) (filled int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			filled = fillWriteOnly(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			filled += fillWriteOnly(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if strings.Contains(strings.ToLower(v.Type().Field(i).Tag.Get("doc")), "write-only") {
				v.Field(i).SetString(secretText)
				filled++
				continue
			}
			filled += fillWriteOnly(v.Field(i))
		}
	}
	return filled
}
