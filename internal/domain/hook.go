package domain

import (
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Hooks are what a backup run does before and after its work, each in order.
type Hooks struct {
	Before       []Hook `json:"before,omitempty" maxItems:"16" doc:"Before the dump"`
	AfterSuccess []Hook `json:"after_success,omitempty" maxItems:"16" doc:"When the backup is stored and verified"`
	AfterFailure []Hook `json:"after_failure,omitempty" maxItems:"16" doc:"When the run failed or was cancelled, whatever of it had begun"`
}

// Hook is one of a SQL statement, a URL and a command.
type Hook struct {
	SQL            string   `json:"sql,omitempty" maxLength:"16384" doc:"One statement, run on the datasource. Shown to whoever may read the job: no place for a secret"`
	URL            string   `json:"url,omitempty" maxLength:"2048" doc:"http or https; gets a POST with the run as JSON, and any answer but 2xx is a failure. Write-only: answers show ********, and writing that back keeps the stored ones, in their order"`
	Command        []string `json:"command,omitempty" maxItems:"64" doc:"Program and arguments, run on the worker; only programs that the worker's operator allowed (DATAGUARDIAN_HOOK_COMMANDS). Shown to whoever may read the job: no place for a secret"`
	FailRun        bool     `json:"fail_run,omitempty" doc:"A failure of the hook fails the run, and the hooks behind it do not run. For after_success: the backup is kept, and the run completes with a warning that people are told of"`
	TimeoutSeconds int      `json:"timeout_seconds,omitempty" doc:"Default 60" minimum:"0" maximum:"3600"`
}

// HookMoment is when hooks run.
type HookMoment string

// The moments.
const (
	HooksBefore       HookMoment = "before"
	HooksAfterSuccess HookMoment = "after_success"
	HooksAfterFailure HookMoment = "after_failure"
)

// HookMoments are all of them.
func HookMoments() []HookMoment {
	return []HookMoment{HooksBefore, HooksAfterSuccess, HooksAfterFailure}
}

// DefaultHookTimeout is in seconds.
const DefaultHookTimeout = 60

// MaxHooks is how many there are of a moment at most.
const MaxHooks = 16

// At are the hooks of a moment.
func (h *Hooks) At(moment HookMoment) []Hook {
	if h == nil {
		return nil
	}
	switch moment {
	case HooksBefore:
		return h.Before
	case HooksAfterSuccess:
		return h.AfterSuccess
	case HooksAfterFailure:
		return h.AfterFailure
	}
	return nil
}

// HaveSQL reports whether any of them runs SQL on the datasource.
func (h *Hooks) HaveSQL() bool {
	for _, moment := range HookMoments() {
		for _, hook := range h.At(moment) {
			if hook.SQL != "" {
				return true
			}
		}
	}
	return false
}

// String says what the hook does, without what may be secret in it: a URL's path and query, a
// statement's text, a command's arguments.
func (h Hook) String() string {
	switch {
	case h.SQL != "":
		return "SQL statement"
	case h.URL == hiddenURL:
		return "URL"
	case h.URL != "":
		if u, err := url.Parse(h.URL); err == nil {
			return "URL at " + u.Host
		}
		return "URL"
	case len(h.Command) > 0:
		return "command " + h.Command[0]
	}
	return "nothing"
}

func (h *Hooks) validate() Invalid {
	var v Invalid
	for _, moment := range HookMoments() {
		if n := len(h.At(moment)); n > MaxHooks {
			v.Add(string(moment), "are %d; give %d at most", n, MaxHooks)
		}
		for i, hook := range h.At(moment) {
			v = append(v, hook.validate().Under(string(moment)+"["+strconv.Itoa(i)+"]")...)
		}
	}
	for i, hook := range h.At(HooksAfterFailure) {
		if hook.FailRun {
			v.Add("after_failure["+strconv.Itoa(i)+"].fail_run", "has no meaning for a run that has failed; leave it out")
		}
	}
	return v
}

func (h Hook) validate() Invalid {
	var v Invalid
	given := 0
	for _, is := range []bool{strings.TrimSpace(h.SQL) != "", h.URL != "", len(h.Command) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		v.Add("sql", "give one of sql, url and command; %d are given", given)
	}
	if strings.Contains(h.SQL, "\x00") {
		v.Add("sql", "must not contain a NUL")
	}
	if h.URL != "" && !IsHTTPURL(h.URL) {
		v.Add("url", "is not an http or https URL with a host and without a user")
	}
	if len(h.Command) > 0 && !filepath.IsAbs(h.Command[0]) {
		v.Add("command", "begins with %q; give the absolute path of a program, then its arguments, each by itself", h.Command[0])
	}
	for _, word := range h.Command {
		if strings.Contains(word, "\x00") {
			v.Add("command", "must not contain a NUL")
		}
	}
	checkRange(&v, "timeout_seconds", h.TimeoutSeconds, 0, 3600)
	return v
}
