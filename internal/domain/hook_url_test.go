package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// hooksAt are hooks of one moment: "sql" is a statement, all else an address.
func hooksAt(texts ...string) *domain.Hooks {
	hooks := &domain.Hooks{}
	for _, text := range texts {
		if text == "sql" {
			hooks.Before = append(hooks.Before, domain.Hook{SQL: "SELECT 1"})
		} else {
			hooks.Before = append(hooks.Before, domain.Hook{URL: text})
		}
	}
	return hooks
}

func TestAMaskStandsForTheAddressThatWasThere(t *testing.T) {
	const mask, a, b, c = "********", "https://a.example", "https://b.example", "https://c.example"
	for name, test := range map[string]struct {
		stored, given, want []string // want nil: refused
	}{
		"nothing was changed":                                 {[]string{a, "sql", b}, []string{mask, "sql", mask}, []string{a, "sql", b}},
		"one was put in front":                                {[]string{a, b}, []string{c, mask, mask}, []string{c, a, b}},
		"a statement was taken away":                          {[]string{"sql", a}, []string{mask}, []string{a}},
		"one was replaced":                                    {[]string{a, b}, []string{mask, c}, []string{a, c}},
		"one became a statement, and which is not said":       {[]string{a, b}, []string{"sql", mask}, nil},
		"one of two was taken away, and it is not said which": {[]string{a, b}, []string{mask}, nil},
		"one was taken away and a statement put behind":       {[]string{a, b, "sql"}, []string{mask, "sql", "sql"}, nil},
		"a mask was doubled":                                  {[]string{a}, []string{mask, mask}, nil},
		"nothing is stored":                                   {nil, []string{mask}, nil},
		"only a statement is stored":                          {[]string{"sql"}, []string{mask}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			given := hooksAt(test.given...)
			v := given.FillURLs(hooksAt(test.stored...))
			if test.want == nil {
				require.NotEmpty(t, v)
				require.Regexp(t, `^hooks\.before\[\d\]\.url$`, v[0].Field)
				return
			}
			require.Empty(t, v)
			require.Equal(t, hooksAt(test.want...), given)
		})
	}
	require.NotEmpty(t, hooksAt(mask).FillURLs(nil))
	var none *domain.Hooks
	require.Empty(t, none.FillURLs(hooksAt(a)))
}
