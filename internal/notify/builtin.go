package notify

import "github.com/dataguardian/dataguardian/internal/domain"

// Builtin is the text of every type of event on every type of channel until somebody writes another.
func Builtin(channel domain.ChannelType, _ domain.NotificationType) Template {
	switch channel {
	case domain.ChannelSMTP:
		return Template{Subject: builtinSubject, Body: builtinMail, HTML: builtinHTML}
	case domain.ChannelWhatsApp:
		return Template{Body: mark + builtinWhatsApp}
	default:
		return Template{Subject: mark + "{{.Title}}", Body: builtinWebhook}
	}
}

const builtinSubject = `[DataGuardian] {{if eq .Severity "critical"}}CRITICAL: {{end}}{{.Title}}`

// mark is the sign of a severity.
const mark = "{{if eq .Severity \"critical\"}}\U0001F534{{else if eq .Severity \"warning\"}}\U0001F7E1{{else}}\U0001F7E2{{end}} "

const builtinMail = `{{.Title}}
{{if .Message}}
{{.Message}}
{{end}}{{if .Advice}}
What to do: {{.Advice}}
{{end}}
{{range .Facts}}{{.Name}}: {{.Value}}
{{end}}{{if .Link}}
Execution: {{.Link}}{{end}}{{if .TemporalURL}}
Workflow: {{.TemporalURL}}{{end}}`

const builtinWebhook = `{{if .Message}}{{.Message}}
{{end}}{{if .Advice}}
What to do: {{.Advice}}{{end}}`

const builtinWhatsApp = `*{{.Title}}*
{{if .Message}}
{{.Message}}
{{end}}{{if .Advice}}
_{{.Advice}}_
{{end}}{{if .Datasource}}
Datasource: {{.Datasource}}{{end}}{{if .Source}}
Source: {{.Source}}{{end}}{{if .Target}}
Target: {{.Target}}{{end}}{{if .Job}}
Job: {{.Job}}{{end}}{{if .Storage}}
Storage: {{.Storage}}{{end}}
Time: {{date "2006-01-02 15:04 UTC" .Time}}{{if .Link}}
{{.Link}}{{end}}`

const builtinHTML = `<!DOCTYPE html>
<html><body style="font-family:sans-serif;color:#1f2328;max-width:640px">
<div style="border-left:6px solid {{if eq .Severity "critical"}}#cf222e{{else if eq .Severity "warning"}}#d4a72c{{else}}#1a7f37{{end}};padding:4px 16px">
<h2 style="margin:8px 0">{{.Title}}</h2>
{{if .Message}}<pre style="white-space:pre-wrap;background:#f6f8fa;padding:12px">{{.Message}}</pre>{{end}}
{{if .Advice}}<p><strong>What to do:</strong> {{.Advice}}</p>{{end}}
<table style="border-collapse:collapse">{{range .Facts}}
<tr><td style="padding:2px 16px 2px 0;color:#59636e">{{.Name}}</td><td>{{.Value}}</td></tr>{{end}}
</table>
<p>{{if .Link}}<a href="{{.Link}}">Execution</a>{{end}} {{if .TemporalURL}}<a href="{{.TemporalURL}}">Workflow</a>{{end}}</p>
</div>
</body></html>`
