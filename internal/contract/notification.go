package contract

import "github.com/dataguardian/dataguardian/internal/domain"

// WakeSignal tells a Notify workflow that something new waits for its channel.
const WakeSignal = "wake"

// NotifyWorkflowID is the workflow id of what sends to a channel: one at a time.
func NotifyWorkflowID(channelID string) string { return "notify-" + channelID }

// HeartbeatWorkflowID is the workflow id of one heartbeat.
func HeartbeatWorkflowID(deliveryID string) string { return "heartbeat-" + deliveryID }

// ChannelTestWorkflowID is the workflow id of one test of a channel.
func ChannelTestWorkflowID(testID string) string { return "test-channel-" + testID }

// DeliveryTaskQueue is the task queue of the activities that send messages. They wait for the servers of others, and would
// keep those of backups and of the upkeep waiting on a queue that they share.
const DeliveryTaskQueue = SystemTaskQueue + ".deliveries"

// ChannelRef names a channel; Name is for people, and may be "".
type ChannelRef struct {
	ChannelID string `json:"channel_id"`
	Name      string `json:"name,omitempty"`
}

// NotifyResult counts the messages of a run.
type NotifyResult struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
}

// DeliveryRef names a delivery.
type DeliveryRef struct {
	DeliveryID string `json:"delivery_id"`
}

// NextDelivery is what is sent to a channel now, or how long nothing is; neither when nothing waits.
type NextDelivery struct {
	DeliveryID   string `json:"delivery_id,omitempty"`
	WaitMS       int64  `json:"wait_ms,omitempty"`
	RetrySeconds int64  `json:"retry_seconds,omitempty"` // how long the delivery is tried until others have their turn
}

// Delivered is how a delivery ended, or that it waits for another round of attempts.
type Delivered struct {
	Status domain.DeliveryStatus `json:"status"`
}

// GiveUpInput ends a round of attempts at a delivery.
type GiveUpInput struct {
	DeliveryID string `json:"delivery_id"`
	Message    string `json:"message"`
}

// ChannelTestResult is what came of a sample; a failed test is a result, not an error.
type ChannelTestResult struct {
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Answer    string `json:"answer,omitempty"` // what the server said
	Message   string `json:"message,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// The workflows and activities of notifications.
var (
	Notify        = Workflow[ChannelRef, NotifyResult]{"Notify"}
	PingHeartbeat = Workflow[DeliveryRef, Delivered]{"PingHeartbeat"}
	TestChannel   = Workflow[ChannelRef, ChannelTestResult]{"TestChannel"}

	ChooseDelivery = Activity[ChannelRef, NextDelivery]{"ChooseDelivery"}
	Deliver        = Activity[DeliveryRef, Delivered]{"Deliver"}
	GiveUpDelivery = Activity[GiveUpInput, Delivered]{"GiveUpDelivery"}
	SendSample     = Activity[ChannelRef, ChannelTestResult]{"SendSample"}
)
