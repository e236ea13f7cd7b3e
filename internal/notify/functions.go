package notify

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"
)

// functions are all that a template can call besides the comparisons and logic of text/template. They take every kind of
// text and of whole number, as a severity is a text and a duration a number.
var functions = template.FuncMap{
	"upper":    func(text any) (string, error) { return onText(text, strings.ToUpper) },
	"lower":    func(text any) (string, error) { return onText(text, strings.ToLower) },
	"trim":     func(text any) (string, error) { return onText(text, strings.TrimSpace) },
	"truncate": truncateValue,
	"default": func(fallback, value any) (string, error) {
		instead, err := asText(fallback)
		if err != nil {
			return "", err
		}
		return onText(value, func(text string) string { return orDefault(text, instead) })
	},
	"bytes": func(n any) (string, error) { return onNumber(n, formatBytes) },
	"duration": func(n any) (string, error) {
		return onNumber(n, func(n int64) string { return formatDuration(time.Duration(n)) })
	},
	"date": func(layout any, t time.Time) (string, error) {
		return onText(layout, func(layout string) string { return t.UTC().Format(layout) })
	},
}

// callable are the functions that a template may name.
var callable = []string{
	"upper", "lower", "trim", "truncate", "default", "bytes", "duration", "date",
	"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len",
}

// Functions lists what templates may call.
func Functions() []string { return slices.Clone(callable) }

func asText(value any) (string, error) {
	if v := reflect.ValueOf(value); v.Kind() == reflect.String {
		return v.String(), nil
	}
	return "", fmt.Errorf("%v is no text", value)
}

func onText(value any, do func(string) string) (string, error) {
	text, err := asText(value)
	if err != nil {
		return "", err
	}
	return do(text), nil
}

func onNumber(value any, do func(int64) string) (string, error) {
	if v := reflect.ValueOf(value); v.CanInt() {
		return do(v.Int()), nil
	}
	return "", fmt.Errorf("%v is no whole number", value)
}

func truncateValue(most, text any) (string, error) {
	n := reflect.ValueOf(most)
	if !n.CanInt() {
		return "", fmt.Errorf("%v is no whole number", most)
	}
	return onText(text, func(text string) string { return truncate(int(n.Int()), text) })
}

func truncate(most int, text string) string {
	runes := []rune(text)
	if most < 1 || len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func orDefault(value, fallback string) string {
	if strings.TrimSpace(value) == "" {
		return fallback
	}
	return value
}
