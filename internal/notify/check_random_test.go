package notify_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
)

// writer writes templates at random: most of what it writes is right, and some of it is not.
type writer struct {
	*rand.Rand
	depth int
}

func (w *writer) one(of ...string) string { return of[w.IntN(len(of))] }

// operand is a value, of any kind.
func (w *writer) operand() string {
	if w.depth++; w.depth > 12 {
		return ".Title"
	}
	switch w.IntN(14) {
	case 0:
		return w.one(`"a"`, "1", "1.5", "true", "'x'", "1e3", "nil", `""`, "-0x1E")
	case 1:
		return w.one("$", ".", "$x", "$i", "$x.Name", "$x.Title")
	case 2, 3:
		return "(" + w.pipeline() + ")" + w.one("", "", "", ".Name", ".Title")
	case 4:
		return w.one("$.", ".") + w.one("Name", "Value", "Nope", "Metadata", "Complete", "Title.Len", "Facts.Name")
	default:
		names := notify.Variables("")
		return w.one("$.", ".") + names[w.IntN(len(names))]
	}
}

func (w *writer) pipeline() string {
	switch w.IntN(8) {
	case 0:
		return w.operand() + " | " + w.one("upper", "trim", "len", "not", "bytes", `eq "a"`, "truncate 3", `default "x"`)
	case 1:
		return w.one("upper", "lower", "trim", "len", "not", "bytes", "duration", "env") + " " + w.operand()
	case 2:
		return w.one("and", "or", "eq", "ne", "lt", "ge", "truncate", "default", "date") + " " + w.operand() + " " + w.operand()
	case 3:
		return w.one("or", "and") + " " + w.one(".Title .Message", ".Link $.Hint", ".Facts .Facts", ".Title .Count", ".Test .Flapping")
	case 4:
		return w.one(`truncate 3 .Title`, `date "15:04" .Time`, "bytes .SizeBytes", `eq .Severity "info"`, "gt .Count 0", "len .Facts")
	default:
		return w.operand()
	}
}

func (w *writer) text() string {
	if w.depth++; w.depth > 12 {
		return "text"
	}
	body, other := w.text, ""
	if w.IntN(2) == 0 {
		other = "{{else}}" + w.text()
	}
	switch w.IntN(9) {
	case 0:
		return "{{if " + w.pipeline() + "}}" + body() + other + "{{end}}"
	case 1:
		return "{{with " + w.one("", "$x := ") + w.pipeline() + "}}" + body() + other + "{{end}}"
	case 2:
		return "{{range " + w.one("", "$x := ", "$i, $x := ", "$x = ") + w.one(".Facts", "$.Facts", w.pipeline()) + "}}" + body() + w.one("", "{{break}}", "{{continue}}") + other + "{{end}}"
	case 3:
		return "{{$x " + w.one(":=", ":=", "=") + " " + w.pipeline() + "}}" + body()
	case 4:
		return body() + " " + body()
	case 5:
		return w.one("{{.}}", "{{.Name}}: {{.Value}}", "{{upper .}}", "<b>", "plain")
	default:
		return "{{" + w.pipeline() + "}}"
	}
}

// template declares the variables that its text uses.
func (w *writer) template() string {
	w.depth = 0
	return `{{$x := .Title}}{{$i := 1}}` + w.text() + w.text()
}

// anyEvent is an event of which each field may be there or not.
func anyEvent(r *rand.Rand, event domain.NotificationType) notify.Event {
	e := notify.Sample(event, time.Unix(1_700_000_000, 0))
	e.Link, e.TemporalURL, e.Hint, e.Flapping, e.Repeat = "https://backup.example.com/1", "https://temporal.example.com/1", "Do it.", r.IntN(2) == 0, r.IntN(2) == 0
	fields := reflect.ValueOf(&e).Elem()
	for i := range fields.NumField() {
		if r.IntN(3) == 0 {
			fields.Field(i).SetZero()
		}
	}
	if e.Type = event; r.IntN(2) == 0 {
		e = e.Complete()
	}
	return e
}

// requireItNeverFails fills in a template that was let through with events that take it into every branch.
func requireItNeverFails(t *testing.T, r *rand.Rand, template notify.Template, event domain.NotificationType) {
	t.Helper()
	for range 8 {
		e := anyEvent(r, event)
		_, err := notify.Render(domain.ChannelSMTP, &template, []notify.Event{e})
		require.NoError(t, err, "%s\n%+v", template.Body, e)
	}
}

var field = regexp.MustCompile(`\.(Title|Message|Name|Value|Severity|Count|Facts|Link)\b`)

// What is saved never fails, whatever the event has and whichever branches it takes; and of what is saved no field can be
// replaced by one that does not exist, however seldom it is looked at.
func TestATemplateThatIsSavedNeverFails(t *testing.T) {
	const seed = 8
	r := rand.New(rand.NewPCG(seed, seed))
	w := &writer{Rand: r}
	saved, types := 0, domain.NotificationTypes()
	for i := range 800 {
		event, source := types[i%len(types)], w.template()
		template := notify.Template{Body: source, HTML: source}
		if len(template.Check(domain.ChannelSMTP, event)) > 0 {
			continue
		}
		saved++
		requireItNeverFails(t, r, template, event)
		for _, at := range field.FindAllStringIndex(source, -1) {
			template.Body = source[:at[0]] + ".Nope" + source[at[1]:]
			require.NotEmpty(t, template.Check(domain.ChannelSMTP, event), template.Body)
		}
	}
	require.Greater(t, saved, 50, "most of what is written is not even read")
}

func FuzzATemplateThatIsSavedNeverFails(f *testing.F) {
	for _, source := range good {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if strings.Count(source, "{{") > 50 {
			t.Skip("what makes too much may fail")
		}
		for _, event := range []domain.NotificationType{domain.NotifyBackupFailed, domain.NotifySyncFailed} {
			template := notify.Template{Body: source, HTML: source}
			if len(template.Check(domain.ChannelSMTP, event)) == 0 {
				requireItNeverFails(t, rand.New(rand.NewPCG(8, uint64(len(source)))), template, event) //nolint:gosec // a seed
			}
		}
	})
}

func ExampleTemplate_Check() {
	fmt.Println(notify.Template{Body: "{{if .Flapping}}{{.Name}}{{end}}"}.Check(domain.ChannelWhatsApp, domain.NotifyConnectionLost)[0].Message[:44])
	// Output: shows .Name, which does not exist (there are
}
