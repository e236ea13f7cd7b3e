package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// notForCompose are variables of .env.example that no service of docker-compose.yml takes from there, and why.
var notForCompose = map[string]string{
	"DATABASE_URL":                  "it is made from POSTGRES_PASSWORD",
	"DATAGUARDIAN_MASTER_KEY_FILE":  "the key itself is required",
	"DATAGUARDIAN_LISTEN":           "the port in the container is fixed",
	"DATAGUARDIAN_URL":              "of the client",
	"DATAGUARDIAN_TOKEN":            "of the client",
	"DATAGUARDIAN_CA_FILE":          "of the client",
	"DATAGUARDIAN_CREDENTIALS_FILE": "of the client",
	"DATAGUARDIAN_DATA_DIR":         "of up",
	"DATAGUARDIAN_TEMPORAL_PORT":    "of up",
	"DATAGUARDIAN_TEMPORAL_UI_PORT": "of up",
	"DEMO_EXIT":                     "of demo",
	"DEMO_SIZE_MB":                  "of demo",
	"DATAGUARDIAN_NEW_MASTER_KEY":   "of rekey",
}

func TestEveryVariableOfTheExampleReachesAServiceOfCompose(t *testing.T) {
	root := filepath.Join("..", "..")
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	var compose struct {
		Services map[string]struct {
			Environment map[string]string `json:"environment"`
			Volumes     []string          `json:"volumes"`
		} `json:"services"`
	}
	require.NoError(t, yaml.Unmarshal(text, &compose))
	var handed strings.Builder
	for _, service := range compose.Services {
		for _, value := range service.Environment {
			handed.WriteString(value + " ")
		}
		handed.WriteString(strings.Join(service.Volumes, " "))
	}
	variables := regexp.MustCompile(`(?m)^(?:# )?([A-Z][A-Z0-9_]+)=`).FindAllStringSubmatch(string(example), -1)
	require.Greater(t, len(variables), 40)
	for _, variable := range variables {
		name := variable[1]
		reaches := regexp.MustCompile(`\$\{` + name + `[:}?-]`).MatchString(handed.String())
		_, excused := notForCompose[name]
		require.NotEqual(t, excused, reaches, "%s: reaches a service %v, is named as one that does not %v", name, reaches, excused)
	}
	api, worker := compose.Services["api"].Environment, compose.Services["worker"].Environment
	for _, name := range []string{"DATABASE_URL", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "DATAGUARDIAN_MASTER_KEY"} {
		require.NotEmpty(t, api[name], name)
		require.Equal(t, api[name], worker[name], name)
	}
}

func TestAVariableThatComposeHandsOverEmptyIsNotSet(t *testing.T) {
	c, err := load([]string{"HOME=/home/x", "DATAGUARDIAN_OIDC_LINK_BY_EMAIL=", "DATAGUARDIAN_SLOTS=", "TEMPORAL_NAMESPACE=", "DATAGUARDIAN_TLS_CERT="}, nil)
	require.NoError(t, err)
	require.False(t, c.Chosen("DATAGUARDIAN_SLOTS"))
	require.Equal(t, "dataguardian", c.Temporal.Namespace)
}
