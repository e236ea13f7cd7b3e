package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
	"github.com/dataguardian/dataguardian/internal/contract"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// ChannelDocument is what a client writes of a notification channel.
type ChannelDocument struct {
	Name    string               `json:"name" doc:"Unique" maxLength:"200"`
	Type    domain.ChannelType   `json:"type" enum:"smtp,webhook,whatsapp" doc:"It can not be changed later"`
	Enabled *bool                `json:"enabled,omitempty" doc:"Default true; what waits for a channel that is switched off is dropped"`
	Config  domain.ChannelConfig `json:"config"`
	Rules   domain.ChannelRules  `json:"rules,omitempty" doc:"What the channel is told; left out: everything"`
}

// Channel is a notification channel as clients see it.
type Channel struct {
	ID        string               `json:"id" format:"uuid"`
	Name      string               `json:"name"`
	Type      domain.ChannelType   `json:"type" enum:"smtp,webhook,whatsapp"`
	Enabled   bool                 `json:"enabled"`
	Config    domain.ChannelConfig `json:"config" doc:"Secrets show as ********"`
	Rules     domain.ChannelRules  `json:"rules"`
	Version   int64                `json:"version"`
	CreatedAt time.Time            `json:"created_at"`
	UpdatedAt time.Time            `json:"updated_at"`

	FailingSince *time.Time `json:"failing_since" doc:"Since when messages to it fail; null: the latest one did not"`
}

// ChannelTest is what came of a sample. A failed test is a good answer.
type ChannelTest struct {
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Answer    string `json:"answer,omitempty" doc:"What the server said"`
	Message   string `json:"message,omitempty" doc:"What went wrong"`
	Hint      string `json:"hint,omitempty" doc:"What to do about it"`
}

func (s *server) registerNotificationChannels() {
	tags, path := []string{"Notification channels"}, "/api/notification-channels"
	read, write := requires(auth.NotificationsRead), requires(auth.SystemWrite)
	register(s, read, huma.Operation{
		OperationID: "list-notification-channels", Method: http.MethodGet, Path: path, Tags: tags, Summary: "List notification channels",
	}, s.listChannels)
	register(s, write, huma.Operation{
		OperationID: "create-notification-channel", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Create a notification channel",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, s.createChannel)
	register(s, read, huma.Operation{
		OperationID: "get-notification-channel", Method: http.MethodGet, Path: path + "/{id}", Tags: tags, Summary: "Get a notification channel",
		Errors: []int{http.StatusNotFound},
	}, s.getChannel)
	register(s, write, huma.Operation{
		OperationID: "update-notification-channel", Method: http.MethodPatch, Path: path + "/{id}", Tags: tags, Summary: "Change a notification channel",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
	}, s.updateChannel)
	register(s, write, huma.Operation{
		OperationID: "delete-notification-channel", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Delete a notification channel",
		Description:   "What waits for it is dropped; its deliveries stay as history.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusPreconditionFailed},
	}, s.deleteChannel)
	register(s, requires(auth.SystemWrite, auth.NotificationsManage), huma.Operation{
		OperationID: "test-notification-channel", Method: http.MethodPost, Path: path + "/{id}/test", Tags: tags, Summary: "Send a sample",
		Description: "A worker sends a sample through the real channel, to every recipient. 200 with ok tells the outcome, good or bad, and answer what the server said.",
		Errors:      []int{http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, s.testChannel)
}

func (s *server) listChannels(ctx context.Context, in *Paging) (*body[page[Channel]], error) {
	rows, next, err := s.db.ListChannels(ctx, in.page())
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, viewChannel), nil
}

func (s *server) getChannel(ctx context.Context, in *ByID) (*versioned[Channel], error) {
	row, err := s.db.GetChannel(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "notification channel", in.ID)
	}
	return &versioned[Channel]{etag(row.Version), viewChannel(row)}, nil
}

func (s *server) createChannel(ctx context.Context, in *body[ChannelDocument]) (*created[Channel], error) {
	row := db.Channel{Type: in.Body.Type}
	if err := in.Body.fill(&row).OrNil(); err != nil {
		return nil, err
	}
	err := s.db.InTx(ctx, func(q *db.Queries) (err error) {
		if row, err = q.CreateChannel(ctx, row); err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "notification_channel.create", "notification_channel", row.ID, map[string]any{"after": viewChannel(row)}))
	})
	if err != nil {
		return nil, err
	}
	return &created[Channel]{"/api/notification-channels/" + row.ID, etag(row.Version), viewChannel(row)}, nil
}

func (s *server) updateChannel(ctx context.Context, in *patchOf[ChannelDocument]) (*versioned[Channel], error) {
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var row db.Channel
	err = s.db.InTx(ctx, func(q *db.Queries) error {
		if row, err = q.GetChannel(ctx, in.ID); err != nil {
			return missing(err, "notification channel", in.ID)
		}
		if err := checkVersion(wanted, row.Version); err != nil {
			return err
		}
		before := row
		document := documentOfChannel(row)
		if err := in.Body.ApplyTo(&document); err != nil {
			return err
		}
		if err := document.fill(&row).OrNil(); err != nil {
			return err
		}
		if row, err = q.UpdateChannel(ctx, row); err != nil {
			return raced(err, wanted)
		}
		changes, err := changed(viewChannel(before), viewChannel(row), replaced("config", before.Config.Secrets(), row.Config.Secrets())...)
		if err != nil {
			return err
		}
		return q.AddAudit(ctx, audited(ctx, "notification_channel.update", "notification_channel", row.ID, changes))
	})
	if err != nil {
		return nil, err
	}
	return &versioned[Channel]{etag(row.Version), viewChannel(row)}, nil
}

func (s *server) deleteChannel(ctx context.Context, in *DeleteInput) (*empty, error) {
	return nil, s.db.InTx(ctx, func(q *db.Queries) error {
		row, err := deletable(ctx, q, in, db.NotificationChannelsTable, q.GetChannel, func(r db.Channel) int64 { return r.Version })
		if err != nil {
			return missing(err, "notification channel", in.ID)
		}
		if err := q.DeleteChannel(ctx, in.ID); err != nil {
			return missing(err, "notification channel", in.ID)
		}
		return q.AddAudit(ctx, audited(ctx, "notification_channel.delete", "notification_channel", row.ID, map[string]any{"before": viewChannel(row)}))
	})
}

func (s *server) testChannel(ctx context.Context, in *ByID) (*body[ChannelTest], error) {
	row, err := s.db.GetChannel(ctx, in.ID)
	if err != nil {
		return nil, missing(err, "notification channel", in.ID)
	}
	entry := audited(ctx, "notification_channel.test", "notification_channel", row.ID, nil)
	if err := s.announce(ctx, entry); err != nil {
		return nil, err
	}
	result, err := s.sendSample(ctx, row)
	if err != nil {
		return nil, s.notDone(ctx, entry, err)
	}
	return &body[ChannelTest]{ChannelTest(result)}, nil
}

// sendSample has a worker send a sample over the channel.
func (s *server) sendSample(ctx context.Context, row db.Channel) (contract.ChannelTestResult, error) {
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	run, err := contract.TestChannel.Start(starting, s.temporal, client.StartWorkflowOptions{
		ID: contract.ChannelTestWorkflowID(uuid.NewString()), TaskQueue: contract.SystemTaskQueue, WorkflowExecutionTimeout: s.opts.TestTimeout,
		StaticSummary:         "Test notification channel " + row.Name,
		TypedSearchAttributes: temporal.NewSearchAttributes(contract.SearchOperation.ValueSet("test")),
	}, contract.ChannelRef{ChannelID: row.ID, Name: row.Name})
	if err != nil {
		return contract.ChannelTestResult{}, s.temporalDown(ctx, "start the test", err)
	}
	return awaitRun[contract.ChannelTestResult](ctx, s, run, domain.DefaultPool)
}

// fill checks the document and writes it into row, which holds the stored channel, or only its type when it
// is new.
func (d ChannelDocument) fill(row *db.Channel) domain.Invalid {
	var v domain.Invalid
	domain.CheckName(&v, d.Name)
	if d.Type != row.Type {
		v.Add("type", "can not be changed from %s to %s; create another channel", row.Type, d.Type)
		return v
	}
	d.Config, d.Rules = d.Config.Clone(), d.Rules.Clone()
	d.Config.Normalize(d.Type)
	d.Rules.Normalize()
	v = append(v, unmask(d.Config.Secrets(), row.Config.Secrets(), exposingChannel(d.Config, row.Config)).Under("config")...)
	v = append(v, d.Config.Validate(d.Type)...)
	v = append(v, d.Rules.Validate()...)
	checkTags(&v, d.Rules.Tags)
	for i, id := range d.Rules.JobIDs {
		if uuid.Validate(id) != nil || len(id) != 36 {
			v.Add("rules.job_ids["+strconv.Itoa(i)+"]", "is not an id")
		}
	}
	row.Name, row.Enabled = strings.TrimSpace(d.Name), d.Enabled == nil || *d.Enabled
	row.Config, row.Rules = d.Config, d.Rules
	return v
}

// exposingChannel names the changes with which a stored secret would reach another server, or travel with less
// protection.
func exposingChannel(c, stored domain.ChannelConfig) []string {
	return names([]change{
		{"host", c.Host != stored.Host},
		{"port", c.Port != stored.Port},
		{"encryption", c.Encryption == domain.MailPlain && stored.Encryption != domain.MailPlain},
		{"username", c.Username != stored.Username},
		{"url", c.URL != stored.URL && c.URL != failure.Mask},
		{"format", c.Format != stored.Format},
		{"provider", c.Provider != stored.Provider},
		{"api_url", c.APIURL != stored.APIURL},
		{"ca_certificate", c.CACertificate != stored.CACertificate}, // one that is added is trusted besides those of the system
	})
}

func documentOfChannel(row db.Channel) ChannelDocument {
	return ChannelDocument{Name: row.Name, Type: row.Type, Enabled: &row.Enabled, Config: maskedChannel(row.Config), Rules: row.Rules.Clone()}
}

// maskedChannel is the configuration as clients see it.
func maskedChannel(c domain.ChannelConfig) domain.ChannelConfig {
	c = c.Clone()
	mask(c.Secrets())
	return c
}

func viewChannel(row db.Channel) Channel {
	return Channel{
		ID: row.ID, Name: row.Name, Type: row.Type, Enabled: row.Enabled, Config: maskedChannel(row.Config), Rules: row.Rules,
		Version: row.Version, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, FailingSince: row.FailingSince,
	}
}
