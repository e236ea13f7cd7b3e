package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// DefaultRetention is how long a namespace we create keeps the history of closed workflows.
const DefaultRetention = 30 * 24 * time.Hour

// Namespace is what EnsureNamespace establishes.
type Namespace struct {
	Name string
	// Retention of closed workflows, for a namespace that has to be created; 0 is DefaultRetention.
	Retention time.Duration
	// Owned: the namespace is ours alone (the embedded server), so a different retention is
	// corrected. In somebody else's cluster an existing namespace keeps what its operator set.
	Owned bool
	// Logger gets a warning, with the command to run, where our credentials may not set things up.
	Logger *slog.Logger
}

// EnsureNamespace creates the namespace and our search attributes where they are missing, and
// returns once the service accepts queries that use them. It may run any number of times, by
// several processes at once. Credentials that may not do this are a warning when the namespace
// exists, because an administrator may have set it up; a namespace that does not exist and can not
// be created is an error.
func EnsureNamespace(ctx context.Context, c client.Client, ns Namespace) error {
	if ns.Retention == 0 {
		ns.Retention = DefaultRetention
	}
	if ns.Logger == nil {
		ns.Logger = slog.New(slog.DiscardHandler)
	}
	created, err := ns.ensureExists(ctx, c)
	if err != nil {
		return err
	}
	// The service's caches learn of a new namespace only some seconds later.
	var added bool
	err = retry(ctx, func() error {
		added, err = ns.ensureSearchAttributes(ctx, c)
		var unknown *serviceerror.NamespaceNotFound
		if err != nil && !errors.As(err, &unknown) {
			return backoff.Permanent(err)
		}
		return err
	})
	if err != nil {
		return err
	}
	if created || added {
		return ns.awaitVisible(ctx, c)
	}
	return nil
}

// retry tries for a minute, as long as ctx allows.
func retry(ctx context.Context, try func() error) error {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(time.Minute))
	return backoff.Retry(try, backoff.WithContext(wait, ctx))
}

func (ns Namespace) ensureExists(ctx context.Context, c client.Client) (created bool, err error) {
	op := fmt.Sprintf("describe Temporal namespace %q", ns.Name)
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: ns.Name})
	var notFound *serviceerror.NamespaceNotFound
	switch {
	case err == nil:
		return false, ns.correctRetention(ctx, c, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	case denied(err):
		ns.Logger.Warn("may not look at the Temporal namespace; taking it as set up", "namespace", ns.Name)
		return false, nil
	case !errors.As(err, &notFound):
		return false, classify(op, err)
	}

	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        ns.Name,
		Description:                      "DataGuardian backups and restores",
		WorkflowExecutionRetentionPeriod: durationpb.New(ns.Retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exists): // another process was faster
		return true, nil
	case denied(err):
		hint := fmt.Sprintf("Ask an administrator of the cluster to run: temporal operator namespace create --namespace %s --retention %s",
			ns.Name, ns.Retention)
		return false, failure.Wrap(failure.AuthFailed, fmt.Sprintf("create Temporal namespace %q", ns.Name), err, hint)
	default:
		return false, classify(fmt.Sprintf("create Temporal namespace %q", ns.Name), err)
	}
}

func (ns Namespace) correctRetention(ctx context.Context, c client.Client, have time.Duration) error {
	if !ns.Owned || have == ns.Retention {
		return nil
	}
	_, err := c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: ns.Name,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(ns.Retention)},
	})
	return classify(fmt.Sprintf("set the retention of Temporal namespace %q", ns.Name), err)
}

func (ns Namespace) ensureSearchAttributes(ctx context.Context, c client.Client) (added bool, err error) {
	op := fmt.Sprintf("set up search attributes in Temporal namespace %q", ns.Name)
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: ns.Name})
	if denied(err) {
		ns.warnSearchAttributes(contract.SearchAttributeNames())
		return false, nil
	}
	if err != nil {
		return false, classify(op, err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	var names []string
	for _, name := range contract.SearchAttributeNames() {
		have, known := listed.GetCustomAttributes()[name]
		switch {
		case !known:
			missing[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
			names = append(names, name)
		case have != enumspb.INDEXED_VALUE_TYPE_KEYWORD:
			return false, failure.New(failure.ConfigInvalid, op,
				fmt.Sprintf("search attribute %s has type %s, it must be Keyword", name, have),
				"Remove that search attribute, or set TEMPORAL_NAMESPACE to a namespace of its own.")
		}
	}
	if len(missing) == 0 {
		return false, nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: ns.Name, SearchAttributes: missing,
	})
	var exists *serviceerror.AlreadyExists
	switch {
	case err == nil, errors.As(err, &exists):
		return true, nil
	case denied(err):
		ns.warnSearchAttributes(names)
		return false, nil
	default:
		return false, classify(op, err)
	}
}

func (ns Namespace) warnSearchAttributes(names []string) {
	command := "temporal operator search-attribute create --namespace " + ns.Name
	for _, name := range names {
		command += " --name " + name + " --type Keyword"
	}
	ns.Logger.Warn("may not set up search attributes; workflows can not start until they exist", "run_as_administrator", command)
}

// awaitVisible waits until every search attribute can be queried: the service's caches learn of a
// new namespace or attribute only some seconds later, and refuse workflows that use it until then.
func (ns Namespace) awaitVisible(ctx context.Context, c client.Client) error {
	conditions := make([]string, 0, len(contract.SearchAttributeNames()))
	for _, name := range contract.SearchAttributeNames() {
		conditions = append(conditions, name+" = 'x'")
	}
	query := strings.Join(conditions, " AND ")
	probe := func() error {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: ns.Name, Query: query})
		if denied(err) { // nothing more can be learnt with these credentials
			return nil
		}
		return err
	}
	return classify(fmt.Sprintf("wait for Temporal namespace %q", ns.Name), retry(ctx, probe))
}

// denied reports whether err says that these credentials may not do it, or that the service does
// not offer it to clients at all, as Temporal Cloud does with parts of the operator service.
func denied(err error) bool {
	var (
		permission    *serviceerror.PermissionDenied
		unimplemented *serviceerror.Unimplemented
	)
	return errors.As(err, &permission) || errors.As(err, &unimplemented)
}
