package mongodb_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"

	"github.com/dataguardian/dataguardian/internal/engine/mongodb"
)

// extended reads extended JSON.
func extended(t *testing.T, text string) bson.D {
	t.Helper()
	var document bson.D
	require.NoError(t, bson.UnmarshalExtJSON([]byte(text), false, &document), text)
	return document
}

// The differences are as MongoDB writes them: d deletes, u updates, i inserts, s<field> goes into a field; in an
// array a says that it is one, l is its new length, u<index> and s<index> are elements.
func TestADifferenceIsMadeAsTheServerMakesIt(t *testing.T) {
	for name, c := range map[string]struct{ document, diff, want string }{
		"a field is changed in its place":             {`{"_id": 1, "a": 1, "b": 2}`, `{"u": {"a": 9}}`, `{"_id": 1, "a": 9, "b": 2}`},
		"a field is new":                              {`{"_id": 1}`, `{"i": {"a": {"x": 1}}}`, `{"_id": 1, "a": {"x": 1}}`},
		"a field is gone":                             {`{"_id": 1, "a": 1, "b": 2}`, `{"d": {"a": false}}`, `{"_id": 1, "b": 2}`},
		"a field of another kind":                     {`{"_id": 1, "a": [1]}`, `{"u": {"a": "text"}}`, `{"_id": 1, "a": "text"}`},
		"fields within fields":                        {`{"_id": 1, "a": {"b": {"c": 1, "d": 2}, "e": 3}}`, `{"sa": {"sb": {"d": {"d": false}, "u": {"c": 5}}}}`, `{"_id": 1, "a": {"b": {"c": 5}, "e": 3}}`},
		"a field with a dot and one with a dollar":    {`{"_id": 1, "a.b": 1, "$c": 1}`, `{"u": {"a.b": 2, "$c": 3}}`, `{"_id": 1, "a.b": 2, "$c": 3}`},
		"a field whose name is empty":                 {`{"_id": 1, "": {"x": 1}}`, `{"s": {"u": {"x": 2}}}`, `{"_id": 1, "": {"x": 2}}`},
		"fields that are called as the sections are":  {`{"_id": 1, "u": {"d": 1}, "s": 1}`, `{"u": {"s": 2}, "su": {"u": {"d": 3}}}`, `{"_id": 1, "u": {"d": 3}, "s": 2}`},
		"an element":                                  {`{"_id": 1, "a": [1, 2, 3]}`, `{"sa": {"a": true, "u1": 9}}`, `{"_id": 1, "a": [1, 9, 3]}`},
		"an element behind the end":                   {`{"_id": 1, "a": [1]}`, `{"sa": {"a": true, "u3": 9}}`, `{"_id": 1, "a": [1, null, null, 9]}`},
		"a shorter array":                             {`{"_id": 1, "a": [1, 2, 3]}`, `{"sa": {"a": true, "l": 1}}`, `{"_id": 1, "a": [1]}`},
		"a document in an array":                      {`{"_id": 1, "a": [{"x": 1}, {"x": 2}]}`, `{"sa": {"a": true, "s1": {"u": {"x": 5}}}}`, `{"_id": 1, "a": [{"x": 1}, {"x": 5}]}`},
		"an array in an array":                        {`{"_id": 1, "a": [[1], [2]]}`, `{"sa": {"a": true, "s0": {"a": true, "u0": 7}}}`, `{"_id": 1, "a": [[7], [2]]}`},
		"what was changed already, a second time":     {`{"_id": 1, "a": 9, "n": 1}`, `{"d": {"gone": false}, "u": {"a": 9}, "i": {"n": 1}}`, `{"_id": 1, "a": 9, "n": 1}`},
		"a field that a later change took away":       {`{"_id": 1}`, `{"sa": {"u": {"x": 1}}}`, `{"_id": 1}`},
		"a field that a later change made another":    {`{"_id": 1, "a": "text"}`, `{"sa": {"u": {"x": 1}}}`, `{"_id": 1, "a": "text"}`},
		"an array that a later change made an object": {`{"_id": 1, "a": {"x": 1}}`, `{"sa": {"a": true, "u0": 1}}`, `{"_id": 1, "a": {"x": 1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			document := extended(t, c.document)
			got, err := mongodb.Patched(document, extended(t, c.diff))
			require.NoError(t, err)
			require.Equal(t, extended(t, c.want), got)
		})
	}
	for _, unknown := range []string{`{"b": {"x": {"o": 1}}}`, `{"u": 1}`, `{"": {}}`, `{"sa": {"a": true, "x0": 1}}`, `{"sa": {"a": true, "u": 1}}`, `{"sa": {"a": true, "u-1": 1}}`, `{"sa": {"a": true, "l": 99999999}}`} {
		_, err := mongodb.Patched(extended(t, `{"_id": 1, "a": [1]}`), extended(t, unknown))
		require.Error(t, err, unknown)
	}
}
