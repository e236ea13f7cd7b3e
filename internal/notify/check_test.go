package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/notify"
)

const anyType = domain.NotificationType("")

// good templates use everything that is offered.
var good = []string{
	"{{.Title}}",
	"{{if .Flapping}}{{.Title}}{{else if .Test}}{{.Message}}{{else}}{{.ID}}{{end}}",
	"{{with .Link}}{{.}}: {{$.Title}}{{else with .Hint}}{{upper .}}{{else}}{{.Advice}}{{end}}",
	"{{with $link := .Link}}{{$link}} {{.}}{{end}}",
	"{{with .Facts}}{{range .}}{{.Name}}{{end}}{{len .}}{{end}}",
	"{{range .Facts}}{{.Name}}: {{.Value}} of {{$.Title}}{{break}}{{else}}{{.Title}}{{end}}",
	"{{range $i, $fact := .Facts}}{{if gt $i 2}}{{continue}}{{end}}{{$i}} {{$fact.Name}} {{(.).Value}}{{else}}{{len $fact}}{{end}}",
	"{{range .Facts}}{{else}}{{range .Facts}}{{.Name}}{{end}}{{end}}",
	"{{$event := .}}{{with .Title}}{{$event.Message}}{{end}}",
	"{{$name := .Job}}{{if eq $name \"\"}}{{$name = .Datasource}}{{end}}{{$name | upper}}",
	"{{$title := .Title}}{{range .Facts}}{{$title = .Name}}{{end}}{{upper $title}}",
	"{{upper .Severity}} {{truncate 20 .Type}} {{default \"none\" .EntityType}} {{lower (upper .Title)}} {{.Title | trim | truncate 3}}",
	"{{bytes .SizeBytes}} {{bytes 1024}} {{bytes .Count}} {{duration .Duration}} {{duration 1000}} {{date \"15:04\" .Time}} {{.Time | date .Title}}",
	"{{if and (gt .SizeBytes 1000) (ne .Severity \"info\") (not .Test) .Link}}{{or .Hint .Advice}}{{end}}",
	"{{eq .Severity \"critical\" \"warning\"}} {{lt .Title .Message}} {{ge (len .Facts) 3}} {{eq .Test .Flapping}} {{.Severity | eq \"info\"}}",
	"{{(or .Link .Title) | upper}} {{len (and .Link .Title)}} {{/* nothing */}} {{1.5}} {{'x'}} {{true}} {{.Time}} {{-5}} {{0x1E}}",
}

func TestATemplateMayUseEverythingThatIsOffered(t *testing.T) {
	for _, source := range good {
		for _, channel := range domain.ChannelTypes() {
			template := notify.Template{Body: source}
			if channel == domain.ChannelSMTP {
				template.Subject, template.HTML = source, "<p>"+source+"</p>"
			}
			require.Empty(t, template.Check(channel, anyType), source)
		}
	}
}

// A template is refused for what can fail, in whatever branch it is and whatever events there are; it is told what, where,
// and what there is instead.
func TestATemplateThatCanFailIsRefused(t *testing.T) {
	for source, says := range map[string]string{
		// Fields that do not exist where they stand.
		"{{.Nope}}":                                              "shows .Nope, which does not exist (there are .ID, .Type, ",
		"one\nüü {{.Nope}}":                                      "at line 2, column 6",
		"{{if .Flapping}}{{.Name}}{{end}}":                       "shows .Name, which does not exist",
		"{{if .Flapping}}\n  {{.Name}}{{end}}":                   "at line 2, column 5",
		"{{with .Link}}{{.Title}}{{end}}":                        "shows .Title of a text, which has no variables ($ is the event: $.Title), at line 1, column 17",
		"{{with .Link}}{{else}}{{.Nope}}{{end}}":                 ".Nope",
		"{{with .Link}}{{else with .Hint}}{{.Hint}}{{end}}":      "of a text",
		"{{if .Test}}{{else if .Link}}{{else}}{{.Nope}}{{end}}":  ".Nope",
		"{{range .Facts}}{{.Title}}{{end}}":                      "shows .Title, which a fact does not have (there are .Name and .Value",
		"{{range .Facts}}{{else}}{{.Name}}{{end}}":               ".Name, which does not exist",
		"{{range $i, $f := .Facts}}{{$f.Title}}{{end}}":          "a fact does not have",
		"{{range $i, $f := .Facts}}{{$i.Name}}{{end}}":           "of a whole number",
		"{{range $f := .Facts}}{{else}}{{$f.Name}}{{end}}":       "of the list of facts",
		"{{range .Facts}}{{with .Name}}{{.Value}}{{end}}{{end}}": "of a text",
		"{{.Facts.Name}}":                                        "of the list of facts",
		"{{.Time.Year}}":                                         "of a time",
		"{{.Severity.AtLeast}}":                                  "of a text",
		"{{.Complete}}":                                          "does not exist",
		"{{.Metadata.password}}":                                 ".Metadata",
		"{{$.Nope}}":                                             ".Nope",
		"{{$e := .}}{{with .Title}}{{$e.Nope}}{{end}}":           ".Nope",
		"{{$t := .Title}}{{$t.Length}}":                          "of a text",
		"{{(.Title).Length}}":                                    "of a text",
		"{{(or .Title .Facts).Name}}":                            "of a text",
		"{{(with .Title)}}":                                      "can not be read: line:1:",
		"{{upper (lower .Nope)}}":                                ".Nope",
		"{{.Title | truncate .Nope}}":                            ".Nope",
		"{{if and .Test (or .Link .Nope)}}{{end}}":               ".Nope",
		"{{with $x := .Nope}}{{end}}":                            ".Nope",
		"{{if .Test}}{{if .Flapping}}{{with .Hint}}{{$.Nope}}{{end}}{{end}}{{end}}": ".Nope",
		"{{range .Facts}}{{if .Nope}}{{end}}{{end}}":                                ".Nope",
		"{{define \"a\"}}{{.Nope}}{{end}}":                                          "defines templates",
		"{{define \"line\"}}{{.Nope}}{{end}}":                                       "defines templates",
		"{{block \"a\" .}}{{end}}":                                                  "defines templates",
		"{{template \"a\"}}":                                                        "calls a template",
		// Values where they fail.
		"{{if .Test}}{{truncate \"x\" .Title}}{{end}}":                   "gives a text to truncate, whose argument 1 is a whole number",
		"{{if .Test}}{{.Title | truncate 1e3}}{{end}}":                   "gives a decimal number to truncate",
		"{{if .Test}}{{upper .Facts}}{{end}}":                            "gives the list of facts to upper",
		"{{if .Test}}{{upper .}}{{end}}":                                 "gives the event to upper",
		"{{if .Test}}{{upper .Title .Title}}{{end}}":                     "with 2 arguments; it takes 1",
		"{{if .Test}}{{upper}}{{end}}":                                   "with 0 arguments",
		"{{if .Test}}{{upper (or .Title .Count)}}{{end}}":                "a text or a whole number to upper",
		"{{if .Test}}{{date .Time \"15:04\"}}{{end}}":                    "gives a time to date",
		"{{if .Test}}{{bytes .Title}}{{end}}":                            "gives a text to bytes",
		"{{if .Test}}{{len .Count}}{{end}}":                              "gives a whole number to len",
		"{{if .Test}}{{eq .Severity 1}}{{end}}":                          "compares a text with a whole number",
		"{{if .Test}}{{gt .Duration 1.5}}{{end}}":                        "compares a whole number with a decimal number",
		"{{if .Test}}{{lt .Test true}}{{end}}":                           "compares true or false",
		"{{if .Test}}{{eq .Facts .Facts}}{{end}}":                        "compares the list",
		"{{if .Test}}{{eq .Title}}{{end}}":                               "calls eq with 1 arguments",
		"{{if .Test}}{{eq .Title nil}}{{end}}":                           "uses nil",
		"{{if .Test}}{{and}}{{end}}":                                     "and without an argument",
		"{{if .Test}}{{.Title .Message}}{{end}}":                         "gives arguments to .Title",
		"{{if .Test}}{{.Title | .Message}}{{end}}":                       "gives arguments to .Message",
		"{{if .Test}}{{18446744073709551615}}{{end}}":                    "too large",
		"{{if .Test}}{{$x := .Title}}{{else}}{{$x}}{{end}}":              "uses $x, which is not declared there",
		"{{$x := .Title}}{{if .Test}}{{$x = .Count}}{{end}}{{upper $x}}": "makes a whole number of $x, which was a text",
		"{{$x := .Title}}{{range $x = .Facts}}{{end}}{{upper $x}}":       "assigns in a range",
		// What would show more than was asked for, or never end.
		"{{.}}":                        "shows the event as a whole",
		"{{$}}":                        "shows the event as a whole",
		"{{.Facts}}":                   "shows the list of facts as a whole",
		"{{range .Facts}}{{.}}{{end}}": "shows a fact as a whole",
		"{{range 10}}{{end}}":          "ranges over a whole number; only .Facts is a list",
		"{{range .Title}}{{end}}":      "only .Facts",
		"{{range .Facts}}{{if .Name}}{{range $.Facts}}{{end}}{{end}}{{end}}": "a range inside another at line 1, column 37",
		// Functions.
		"{{if .Test}}{{env \"HOME\"}}{{end}}": "calls env, which does not exist (there are upper, ",
		"{{printf \"%999999999d\" 1}}":        "calls printf",
		"{{index .Facts 0}}":                  "calls index",
		"{{html .Title}}":                     "calls html",
		"{{call .Title}}":                     "calls call",
		"{{.Title":                            "can not be read",
		strings.Repeat("x", 64<<10+1):         "at most 65536",
	} {
		for _, event := range []domain.NotificationType{anyType, domain.NotifyBackupFailed} {
			wrong := notify.Template{Body: source}.Check(domain.ChannelWhatsApp, event)
			require.Len(t, wrong, 1, source)
			require.Equal(t, "body", wrong[0].Field, source)
			require.Contains(t, wrong[0].Message, says, source)
			wrong = notify.Template{Subject: source, Body: "x", HTML: source}.Check(domain.ChannelSMTP, event)
			require.Len(t, wrong, 2, "the subject and the HTML are looked at in the same way: %s", source)
		}
	}
}

// HTML that html/template can not make safe in a branch that is seldom taken is refused too.
func TestHTMLThatCanNotBeEscapedIsRefused(t *testing.T) {
	for _, source := range []string{
		`{{if .Flapping}}<a href="{{end}}{{.Title}}`, `<a href='{{if .Test}}"{{else}}'{{end}}>`, `<script>var a = {{if .Test}}"{{end}}{{.Title}}</script>`,
	} {
		wrong := notify.Template{Body: "x", HTML: source}.Check(domain.ChannelSMTP, domain.NotifyBackupFailed)
		require.Len(t, wrong, 1, source)
		require.Equal(t, "html", wrong[0].Field)
	}
}

// What events of the type never have is refused for the type, in every branch.
func TestAVariableOfOtherTypesIsRefused(t *testing.T) {
	for _, event := range domain.NotificationTypes() {
		own := notify.Variables(event)
		for _, name := range notify.Variables(anyType) {
			body := "{{if .Flapping}}{{else}}{{if $." + name + "}}x{{end}}{{end}}"
			wrong := notify.Template{Body: body}.Check(domain.ChannelWebhook, event)
			if slices.Contains(own, name) {
				require.Empty(t, wrong, "%s %s", event, name)
				continue
			}
			require.Len(t, wrong, 1, "%s %s", event, name)
			require.Contains(t, wrong[0].Message, "shows ."+name+", which an event of type "+string(event)+" never has (there are .ID, ")
		}
		require.Subset(t, own, []string{"ID", "Type", "Severity", "Title", "Message", "Time", "Hint", "Advice", "Count", "Flapping", "Repeat", "Test", "Facts"})
	}
	require.NotContains(t, notify.Variables(domain.NotifyBackupFailed), "Source")
	require.NotContains(t, notify.Variables(domain.NotifyConnectionLost), "Job")
	require.NotContains(t, notify.Variables(domain.NotifyBackupSuccess), "FailureClass")
	require.Contains(t, notify.Variables(domain.NotifySyncFailed), "Source")
	require.NotContains(t, notify.Variables(anyType), "Metadata")
}

// A sample shows what real events of the type can show, and no more.
func TestASampleHasWhatItsTypeCanHave(t *testing.T) {
	for _, event := range domain.NotificationTypes() {
		e := notify.Sample(event, time.Now())
		require.Empty(t, e.Undocumented(), "%s", event)
	}
	require.Equal(t, []string{"Source"}, notify.Event{Type: domain.NotifyBackupFailed, Source: "x", Job: "y"}.Undocumented())
}

func TestATemplateThatMakesTooMuchLosesTheEndOfTheMessage(t *testing.T) {
	template := notify.Template{Body: "{{.Title}} {{.Message}} {{.Message}} {{.Message}}"}
	require.Empty(t, template.Check(domain.ChannelWhatsApp, anyType))
	m, err := notify.Render(domain.ChannelWhatsApp, &template, []notify.Event{{Title: "Failed", Message: strings.Repeat("long ", 30_000)}})
	require.NoError(t, err)
	require.Contains(t, m.Text, "Failed long")
	require.LessOrEqual(t, notify.Characters(m.Text), 4096)
	template.Body = strings.Repeat("{{.Title}}", 6000)
	_, err = notify.Render(domain.ChannelWhatsApp, &template, []notify.Event{{Title: strings.Repeat("long ", 30)}})
	require.ErrorContains(t, err, "makes more than")
}
