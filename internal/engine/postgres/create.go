package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// create makes an empty database like the one that was dumped. A locale that this server does not
// have is replaced by the server's own, and by C if the encoding does not go with that; the
// warning says so, because texts then sort differently.
func (a *admin) create(ctx context.Context, name string, props map[string]string, tablespace string) (warning string, err error) {
	head := "CREATE DATABASE " + quoted(name) + " TEMPLATE template0"
	if tablespace != "" {
		head += " TABLESPACE " + quoted(tablespace)
	}
	if encoding := props[propEncoding]; encoding != "" {
		head += " ENCODING " + literal(encoding)
	}
	recorded := localeClause(props, a.version)
	for _, clause := range slices.Compact([]string{recorded, "", " LC_COLLATE 'C' LC_CTYPE 'C'"}) {
		if _, err = a.Exec(ctx, head+clause); err == nil {
			if clause != recorded {
				warning = fmt.Sprintf("the server has no locale like the backup's (%s); database %s was made with another one", strings.TrimSpace(recorded), quoted(name))
			}
			return warning, nil
		}
		// wrong_object_type and invalid_parameter_value are what a locale gets that is not there;
		// feature_not_supported, a provider that this server was built without.
		if !slices.Contains([]string{"42809", "22023", "0A000"}, sqlState(err)) {
			break
		}
	}
	return "", classify("create database "+quoted(name), err)
}

// localeClause asks for the recorded locale in the words of the target's version.
func localeClause(props map[string]string, server version) string {
	var clause strings.Builder
	add := func(option, value string) {
		if value != "" {
			fmt.Fprintf(&clause, " %s %s", option, literal(value))
		}
	}
	add("LC_COLLATE", props[propCollate])
	add("LC_CTYPE", props[propCtype])
	switch provider := props[propLocaleProvider]; {
	case provider == "" || server.num < 150000:
	case provider == "icu":
		clause.WriteString(" LOCALE_PROVIDER icu")
		add("ICU_LOCALE", props[propLocale])
		if server.num >= 160000 {
			add("ICU_RULES", props[propICURules])
		}
	case provider == "builtin" && server.num >= 170000:
		clause.WriteString(" LOCALE_PROVIDER builtin")
		add("BUILTIN_LOCALE", props[propLocale])
	case provider == "libc":
		clause.WriteString(" LOCALE_PROVIDER libc")
	}
	return clause.String()
}
