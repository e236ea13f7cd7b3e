package domain

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEverySettingHasADefaultThatIsValid(t *testing.T) {
	var keys []string
	for _, s := range Settings() {
		keys = append(keys, s.Key)
		text, err := json.Marshal(s.Default)
		require.NoError(t, err)
		value, err := s.Decode(text)
		require.NoError(t, err)
		require.Equal(t, s.Default, value, s.Key)
		require.NotEmpty(t, s.Doc, s.Key)
	}
	require.True(t, slices.IsSorted(keys), "the list is sorted by key")
	require.Len(t, slices.Compact(keys), len(Settings()), "a key is there once")
}

func TestASettingTakesOnlyItsType(t *testing.T) {
	number := integerSetting("a.number", 5, 1, 10, "A number")
	flag := booleanSetting("a.flag", true, "A flag")
	text := stringSetting("a.text", "x", "A text", func(s string) string {
		if s == "" {
			return "must not be empty"
		}
		return ""
	})
	for _, test := range []struct {
		setting Setting
		value   string
		want    any
	}{
		{number, `7`, 7}, {number, `7.0`, 7}, {number, `7.5`, nil}, {number, `"7"`, nil}, {number, `11`, nil}, {number, `1e300`, nil}, {number, `null`, nil},
		{flag, `false`, false}, {flag, `0`, nil}, {flag, `null`, nil},
		{text, `"y"`, "y"}, {text, `""`, nil}, {text, `[]`, nil}, {text, `"\u0000"`, nil}, {text, `{`, nil},
	} {
		value, err := test.setting.Decode(json.RawMessage(test.value))
		if test.want == nil {
			var invalid Invalid
			require.ErrorAs(t, err, &invalid, test.value)
			require.Equal(t, test.setting.Key, invalid[0].Field)
			continue
		}
		require.NoError(t, err, test.value)
		require.Equal(t, test.want, value)
	}
}
