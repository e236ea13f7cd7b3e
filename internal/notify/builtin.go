package notify

import "github.com/dataguardian/dataguardian/internal/domain"

// Builtin is the text of every type of event on every type of channel until somebody writes another.
func Builtin(channel domain.ChannelType, event domain.NotificationType) Template {
	switch channel {
	case domain.ChannelSMTP:
		return Template{Subject: builtinSubject, Body: builtinMail(event), HTML: builtinHTML(event)}
	case domain.ChannelWhatsApp:
		return Template{Body: builtinWhatsApp(event)}
	default:
		return Template{Subject: mark + "{{.Title}}", Body: builtinWebhook}
	}
}

const builtinSubject = `[DataGuardian] {{if eq .Severity "critical"}}CRITICAL: {{end}}{{.Title}}`

// mark is the sign of a severity.
const mark = "{{if eq .Severity \"critical\"}}\U0001F534{{else if eq .Severity \"warning\"}}\U0001F7E1{{else}}\U0001F7E2{{end}} "

// builtinMail and builtinHTML show the execution where an event of the type can have one.
func builtinMail(event domain.NotificationType) string {
	text := `{{.Title}}
{{if .Message}}
{{.Message}}
{{end}}{{if .Advice}}
What to do: {{.Advice}}
{{end}}
{{range .Facts}}{{.Name}}: {{.Value}}
{{end}}`
	if has(event, "Link") {
		text += "{{if .Link}}\nExecution: {{.Link}}{{end}}"
	}
	return text + "{{if .TemporalURL}}\nWorkflow: {{.TemporalURL}}{{end}}"
}

const builtinWebhook = `{{if .Message}}{{.Message}}
{{end}}{{if .Advice}}
What to do: {{.Advice}}{{end}}`

// builtinWhatsApp names what an event of the type can be about.
func builtinWhatsApp(event domain.NotificationType) string {
	text := mark + `*{{.Title}}*
{{if .Message}}
{{.Message}}
{{end}}{{if .Advice}}
_{{.Advice}}_
{{end}}`
	for _, name := range []string{"Datasource", "Source", "Target", "Job", "Storage"} {
		if has(event, name) {
			text += "{{if ." + name + "}}\n" + name + ": {{." + name + "}}{{end}}"
		}
	}
	text += "\nTime: {{date \"2006-01-02 15:04 UTC\" .Time}}"
	if has(event, "Link") {
		text += "{{if .Link}}\n{{.Link}}{{end}}"
	}
	return text
}

func builtinHTML(event domain.NotificationType) string {
	link := ""
	if has(event, "Link") {
		link = `{{if .Link}}<a href="{{.Link}}">Execution</a>{{end}} `
	}
	return htmlTop + `<p>` + link + `{{if .TemporalURL}}<a href="{{.TemporalURL}}">Workflow</a>{{end}}</p>
</div>
</body></html>`
}

const htmlTop = `<!DOCTYPE html>
<html><body style="font-family:sans-serif;color:#1f2328;max-width:640px">
<div style="border-left:6px solid {{if eq .Severity "critical"}}#cf222e{{else if eq .Severity "warning"}}#d4a72c{{else}}#1a7f37{{end}};padding:4px 16px">
<h2 style="margin:8px 0">{{.Title}}</h2>
{{if .Message}}<pre style="white-space:pre-wrap;background:#f6f8fa;padding:12px">{{.Message}}</pre>{{end}}
{{if .Advice}}<p><strong>What to do:</strong> {{.Advice}}</p>{{end}}
<table style="border-collapse:collapse">{{range .Facts}}
<tr><td style="padding:2px 16px 2px 0;color:#59636e">{{.Name}}</td><td>{{.Value}}</td></tr>{{end}}
</table>
`
