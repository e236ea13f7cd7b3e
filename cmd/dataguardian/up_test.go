package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/dataguardian/dataguardian/internal/client"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
	"github.com/dataguardian/dataguardian/internal/standalone/temporalserver"
	"github.com/dataguardian/dataguardian/internal/temporalclient"
)

// upProcess is `dataguardian up` on free ports, which is ready.
type upProcess struct {
	cmd    *exec.Cmd
	banner string
	url    string
	stderr *bytes.Buffer
}

var apiReference = regexp.MustCompile(`API reference +(http://\S+)/api/docs`)

func upArgs(data string) []string {
	return []string{"up", "--data-dir", data, "--listen", "127.0.0.1:0", "--temporal-port", "0", "--temporal-ui-port", "0"}
}

// startUp starts it and reads its banner.
func startUp(t *testing.T, data string, environment ...string) *upProcess {
	t.Helper()
	return startUpWith(t, upArgs(data), environment...)
}

func startUpWith(t *testing.T, args []string, environment ...string) *upProcess {
	t.Helper()
	u := &upProcess{cmd: exec.Command(os.Args[0], args...), stderr: new(bytes.Buffer)} //nolint:gosec // this very test binary
	u.cmd.Env = append([]string{mainEnv + "=1", "PATH=" + os.Getenv("PATH")}, environment...)
	u.cmd.Stderr = u.stderr
	out, err := u.cmd.StdoutPipe()
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, u.cmd.Start())
	t.Cleanup(func() {
		if u.cmd.ProcessState == nil {
			_ = u.cmd.Process.Kill()
			_ = u.cmd.Wait()
		}
	})
	var banner strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		banner.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ctrl-C stops it") {
			break
		}
	}
	took := time.Since(began)
	t.Logf("ready after %s", took.Round(10*time.Millisecond))
	require.Less(t, took, readyWithin, "up takes too long to be ready")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	u.banner = banner.String()
	found := apiReference.FindStringSubmatch(u.banner)
	require.Len(t, found, 2, "%s\n%s", u.banner, u.stderr)
	u.url = found[1]
	return u
}

// stop asks it to end, as systemd does.
func (u *upProcess) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, u.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, u.cmd.Wait(), "%s", u.stderr)
}

// processesIn are those whose working directory is dir or below it: all of a Postgres server have its data directory.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) {
			found = append(found, link)
		}
	}
	return found
}

func TestUpKeepsItsStateThroughKillAndEndsCleanly(t *testing.T) {
	dir := openDirectory(t)
	data, frontend := filepath.Join(dir, "data"), freePort(t)
	args := append(upArgs(data), "--temporal-port", strconv.Itoa(frontend)) // of two the last one counts
	first := startUpWith(t, args)
	require.Contains(t, first.banner, first.url+"/api/auth/setup", "how to create the owner")
	require.Contains(t, first.banner, "Temporal UI")
	api := owner(t, first.url)
	require.NotEmpty(t, processesIn(t, data))
	shop := postgres.Options{DataDir: filepath.Join(dir, "shop"), Port: freePort(t), NoSync: true}
	job := nightly(t, api, shop, filepath.Join(dir, "backups"))
	made := scheduleOf(t, frontend, job.ID)
	running, err := api.RunJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	awaitAnotherTry(t, frontend, contract.BackupWorkflowID(running.ID))
	require.NoError(t, first.cmd.Process.Kill())
	_ = first.cmd.Wait()
	_, err = startShop(t, shop)
	require.NoError(t, err)

	second := startUpWith(t, args)
	require.NotContains(t, second.banner, "Create the owner")
	api = client.New(second.url)
	_, err = api.Login(t.Context(), "owner@example.com", "correct-horse-battery")
	require.NoError(t, err, "the owner is gone")
	require.Equal(t, made, scheduleOf(t, frontend, job.ID), "the schedule is another one")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended, err := api.WaitExecution(ctx, running.ID, nil)
	require.NoError(t, err)
	require.Equal(t, domain.Completed, ended.Status, ended.ErrorMessage)
	require.Equal(t, contract.BackupWorkflowID(running.ID), ended.Metadata.WorkflowID)
	t.Run("a second one on the same directory is refused", func(t *testing.T) {
		refused := run(t, nil, upArgs(data)...)
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, data)
	})
	second.stop(t)
	require.Empty(t, processesIn(t, data), "processes are left")

	t.Run("without its master key it is refused", func(t *testing.T) {
		key := filepath.Join(data, "master.key")
		require.NoError(t, os.Remove(key))
		refused := run(t, nil, upArgs(data)...)
		require.Equal(t, exitFailed, refused.code)
		require.Contains(t, refused.stderr, "master key")
		require.Contains(t, refused.stderr, key)
		require.NoFileExists(t, key, "a new key would hide that the secrets can not be read")
		require.Empty(t, processesIn(t, data))
	})
}

func TestUpWithADatabaseOfItsUsersStartsNoPostgres(t *testing.T) {
	dir := openDirectory(t)
	server, err := postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(dir, "theirs"), NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	data := filepath.Join(dir, "data")
	up := startUp(t, data, "DATABASE_URL="+server.URL())
	require.NoDirExists(t, filepath.Join(data, "postgres"))
	require.Empty(t, processesIn(t, filepath.Join(data, "postgres")))
	needed, err := client.New(up.url).SetupNeeded(t.Context())
	require.NoError(t, err)
	require.True(t, needed)
	up.stop(t)
}

func TestUpWithATemporalOfItsUsersStartsNone(t *testing.T) {
	dir := openDirectory(t)
	theirs, err := temporalserver.Start(t.Context(), temporalserver.Options{InMemory: true, UIPort: temporalserver.NoUI})
	require.NoError(t, err)
	t.Cleanup(func() { theirs.Stop(context.Background()) })
	data := filepath.Join(dir, "data")
	up := startUp(t, data, "TEMPORAL_ADDRESS="+theirs.Address())
	require.NoDirExists(t, filepath.Join(data, "temporal"))
	api := owner(t, up.url)
	disk, err := api.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: "disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: filepath.Join(dir, "backups")},
	})
	require.NoError(t, err)
	check, err := api.TestStorageLocation(t.Context(), disk.ID)
	require.NoError(t, err)
	require.Equal(t, domain.HealthOK, check.Status, check.Message)
	list, err := dialTemporal(t, theirs.Address()).ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: "WorkflowType = '" + contract.CheckStorage.Name + "'",
	})
	require.NoError(t, err)
	byHand := slices.DeleteFunc(list.Executions, func(e *workflow.WorkflowExecutionInfo) bool { // the others are the schedule's
		return strings.HasPrefix(e.Execution.WorkflowId, contract.StorageHealthScheduleID)
	})
	require.Len(t, byHand, 1, "the test of the storage location did not run there")
	up.stop(t)
}

// owner signs up and in at a new installation.
func owner(t *testing.T, url string) *client.Client {
	t.Helper()
	api := client.New(url)
	_, err := api.Setup(t.Context(), "owner@example.com", "Owner", "correct-horse-battery")
	require.NoError(t, err)
	_, err = api.Login(t.Context(), "owner@example.com", "correct-horse-battery")
	require.NoError(t, err)
	return api
}

// startShop starts a server to be backed up, with a database and some rows in it.
func startShop(t *testing.T, options postgres.Options) (*postgres.Server, error) {
	t.Helper()
	server, err := postgres.Start(t.Context(), options)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	url, err := server.EnsureDatabase(t.Context(), "shop")
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "create table if not exists orders as select n from generate_series(1, 1000) n")
	return server, err
}

// shopDatasource is the datasource of a server that startShop started.
func shopDatasource(t *testing.T, api *client.Client, server *postgres.Server) client.Datasource {
	t.Helper()
	datasource, err := api.Datasources.Create(t.Context(), client.DatasourceDocument{
		Name: "shop", Type: domain.Postgres,
		ConnectionConfig: domain.ConnectionConfig{Host: "127.0.0.1", Port: server.Port(), Database: "shop", Username: postgres.User, Password: server.Password()},
	})
	require.NoError(t, err)
	return datasource
}

// nightly is a job with a schedule, of a server that is made and not there at the moment.
func nightly(t *testing.T, api *client.Client, shop postgres.Options, backups string) client.BackupJob {
	t.Helper()
	server, err := startShop(t, shop)
	require.NoError(t, err)
	datasource := shopDatasource(t, api, server)
	require.NoError(t, server.Stop(t.Context()))
	disk, err := api.StorageLocations.Create(t.Context(), client.StorageLocationDocument{
		Name: "disk", Type: domain.StorageLocal, Config: domain.StorageConfig{Path: backups},
	})
	require.NoError(t, err)
	job, err := api.BackupJobs.Create(t.Context(), client.BackupJobDocument{
		Name: "nightly", DatasourceID: datasource.ID, StorageLocationID: disk.ID, ScheduleCron: "0 3 * * *",
	})
	require.NoError(t, err)
	return job
}

func dialTemporal(t *testing.T, address string) temporal.Client {
	t.Helper()
	dialled, err := temporalclient.Dial(t.Context(), temporalclient.Options{Address: address, Namespace: temporalserver.DefaultNamespace})
	require.NoError(t, err)
	t.Cleanup(dialled.Close)
	return dialled
}

func atPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// scheduleOf waits for the schedule of a job and returns when it was made.
func scheduleOf(t *testing.T, frontend int, jobID string) (made time.Time) {
	t.Helper()
	handle := dialTemporal(t, atPort(frontend)).ScheduleClient().GetHandle(t.Context(), contract.BackupSchedulePrefix+jobID)
	require.Eventually(t, func() bool {
		described, err := handle.Describe(t.Context())
		if err == nil {
			made = described.Info.CreatedAt
		}
		return err == nil
	}, 2*time.Minute, 20*time.Millisecond, "the job has no schedule")
	return made
}

// awaitAnotherTry waits until a step of the workflow has failed and waits for its next try.
func awaitAnotherTry(t *testing.T, frontend int, workflowID string) {
	t.Helper()
	dialled := dialTemporal(t, atPort(frontend))
	require.Eventually(t, func() bool {
		described, err := dialled.DescribeWorkflowExecution(t.Context(), workflowID, "")
		if err != nil {
			return false
		}
		return slices.ContainsFunc(described.PendingActivities, func(a *workflow.PendingActivityInfo) bool {
			return a.Attempt > 1 && a.State == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED
		})
	}, 2*time.Minute, 5*time.Millisecond, "no step is tried again")
}

// freePort is one on which nothing listens.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
