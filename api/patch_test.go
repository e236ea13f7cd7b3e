package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A list that is sent is the list: what a member leaves out is not taken from the stored one at its place.
func TestAListOfAPatchReplacesTheStoredOne(t *testing.T) {
	type member struct {
		URL  string `json:"url,omitempty"`
		SQL  string `json:"sql,omitempty"`
		Fail bool   `json:"fail,omitempty"`
	}
	type Text struct {
		Subject string `json:"subject"`
	}
	type document struct {
		Text
		List   []member       `json:"list"`
		Object *member        `json:"object,omitempty"`
		Map    map[string]int `json:"map,omitempty"`
		Big    int64          `json:"big"`
	}
	stored := document{Text: Text{"kept"}, List: []member{{URL: "a", Fail: true}, {SQL: "s"}}, Object: &member{URL: "b", Fail: true}, Map: map[string]int{"one": 1}, Big: 1<<62 + 1}
	var p Patch[document]
	require.NoError(t, p.UnmarshalJSON([]byte(`{"list": [{"sql": "s"}, {"url": "a"}], "object": {"sql": "t"}, "map": {"two": 2}, "subject": null}`)))
	got := stored
	require.NoError(t, p.ApplyTo(&got))
	require.Equal(t, document{
		Text: Text{"kept"}, List: []member{{SQL: "s"}, {URL: "a"}}, Object: &member{URL: "b", SQL: "t", Fail: true}, Map: map[string]int{"one": 1, "two": 2}, Big: 1<<62 + 1,
	}, got)
	require.NoError(t, p.UnmarshalJSON([]byte(`null`)))
	require.NoError(t, p.ApplyTo(&got))
	require.Equal(t, int64(1<<62+1), got.Big)
	require.Equal(t, map[string]int{"one": 1}, stored.Map, "the stored document stays as it is")
	require.True(t, stored.List[0].Fail)
}

// Of a change the ids are lowered too, where they are ours.
func TestAPatchLowersIDs(t *testing.T) {
	type document struct {
		ID    string   `json:"id" format:"uuid"`
		Maybe string   `json:"maybe" format:"id"`
		Many  []string `json:"many" format:"id"`
		Key   string   `json:"access_key_id"`
	}
	const id, lower = "0199AAAA-BBBB-7CCC-8DDD-EEEEEEEEEEEE", "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"
	var p Patch[document]
	require.NoError(t, p.UnmarshalJSON([]byte(`{"id": "`+id+`", "maybe": "Not An Id", "many": ["`+id+`", ""], "access_key_id": "`+id+`"}`)))
	var got document
	require.NoError(t, p.ApplyTo(&got))
	require.Equal(t, document{ID: lower, Maybe: "Not An Id", Many: []string{lower, ""}, Key: id}, got)
}
