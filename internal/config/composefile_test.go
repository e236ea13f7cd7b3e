package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// requiredOfCompose are the variables that docker-compose.yml does not go without.
var requiredOfCompose = map[string]string{
	"POSTGRES_PASSWORD":          "catalogue-password",
	"TEMPORAL_POSTGRES_PASSWORD": "temporal-password",
	"DATAGUARDIAN_MASTER_KEY":    "master-key",
	"BACKUP_DIR":                 "/srv/backups",
}

// compose loads docker-compose.yml as `docker compose config` does, whose library this is: .env.example is what was
// copied to .env, and set what a person wrote into it. Nothing of this process's environment takes part.
// More files are laid over it.
func compose(t *testing.T, set map[string]string, more ...string) (*types.Project, error) {
	t.Helper()
	root := filepath.Join("..", "..")
	example, err := os.Open(filepath.Join(root, ".env.example"))
	require.NoError(t, err)
	defer func() { require.NoError(t, example.Close()) }()
	environment, err := dotenv.Parse(example)
	require.NoError(t, err)
	maps.Copy(environment, set)
	var pairs []string
	for name, value := range environment {
		pairs = append(pairs, name+"="+value)
	}
	options, err := cli.NewProjectOptions(append([]string{filepath.Join(root, "docker-compose.yml")}, more...), cli.WithEnv(pairs))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

func without(name string) map[string]string {
	set := maps.Clone(requiredOfCompose)
	delete(set, name)
	return set
}

func TestComposeLoadsWithTheExampleAndWhatItAsksFor(t *testing.T) {
	project, err := compose(t, requiredOfCompose)
	require.NoError(t, err)
	require.Equal(t, "dataguardian", project.Name)
	require.ElementsMatch(t, []string{"api", "postgres", "temporal", "temporal-namespace", "temporal-postgres", "temporal-schema", "temporal-ui", "worker"},
		project.ServiceNames())
	api, worker := project.Services["api"], project.Services["worker"]
	require.Equal(t, "postgres://dataguardian:catalogue-password@postgres:5432/dataguardian?sslmode=disable", *api.Environment["DATABASE_URL"])
	for _, name := range []string{"DATABASE_URL", "DATAGUARDIAN_MASTER_KEY", "TEMPORAL_ADDRESS"} {
		require.NotEmpty(t, *api.Environment[name], name)
		require.Equal(t, *api.Environment[name], *worker.Environment[name], name)
	}
	require.Equal(t, "catalogue-password", *project.Services["postgres"].Environment["POSTGRES_PASSWORD"])
	require.Equal(t, "/srv/backups", worker.Volumes[0].Source)
	require.Equal(t, "/backups", worker.Volumes[0].Target)
	// In the container a shell reads $POSTGRES_USER and $part: doubled in the file, so that compose leaves them alone.
	require.Contains(t, project.Services["postgres"].HealthCheck.Test[1], `"$POSTGRES_USER"`)
	require.Contains(t, project.Services["temporal-schema"].Command[0], "[ $part = visibility ]")
}

func TestComposeRefusesToGoWithoutWhatHasNoDefault(t *testing.T) {
	for name := range requiredOfCompose {
		t.Run(name, func(t *testing.T) {
			_, err := compose(t, without(name))
			require.ErrorContains(t, err, `required variable `+name+` is missing a value: set it in .env`)
		})
	}
}

func TestTheWorkerOfComposeScales(t *testing.T) {
	scaled := filepath.Join(t.TempDir(), "scaled.yml") // what --scale worker=4 sets
	require.NoError(t, os.WriteFile(scaled, []byte("services: {worker: {scale: 4}}"), 0o600))
	project, err := compose(t, requiredOfCompose, scaled)
	require.NoError(t, err) // with a container_name it is refused
	worker := project.Services["worker"]
	require.Equal(t, 4, worker.GetScale())
	require.Empty(t, worker.Ports, "a port of the host can be had once")
}

func TestServicesOfComposeWaitForWhatTheyNeedByItsHealth(t *testing.T) {
	project, err := compose(t, requiredOfCompose)
	require.NoError(t, err)
	for name, service := range project.Services {
		ends := service.Restart == "on-failure"
		require.Equal(t, ends, service.HealthCheck == nil, "%s: what goes on running has a health check, what ends has none", name)
		for needed, how := range service.DependsOn {
			condition := types.ServiceConditionHealthy
			if project.Services[needed].Restart == "on-failure" {
				condition = types.ServiceConditionCompletedSuccessfully
			}
			require.Equal(t, condition, how.Condition, "%s needs %s", name, needed)
		}
	}
	require.NoError(t, project.CheckContainerNameUnicity())
}

func TestComposeHandsOutNoPasswordThatNobodySetAndListensNowhereElse(t *testing.T) {
	project, err := compose(t, requiredOfCompose)
	require.NoError(t, err)
	secret := regexp.MustCompile(`PASSWORD|PWD|SECRET|MASTER_KEY|API_KEY`)
	given := append(slices.Collect(maps.Values(requiredOfCompose)), "")
	for name, service := range project.Services {
		for variable, value := range service.Environment {
			if secret.MatchString(variable) {
				require.Contains(t, given, *value, "%s of %s", variable, name)
			}
		}
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, name)
		}
	}
}
