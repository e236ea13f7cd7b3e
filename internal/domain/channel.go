package domain

import (
	"encoding/base64"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ChannelType is by what notifications reach people.
type ChannelType string

// The channel types. A heartbeat is no channel that is configured: it is the GET of a job's heartbeat_url.
const (
	ChannelSMTP      ChannelType = "smtp"
	ChannelWebhook   ChannelType = "webhook"
	ChannelWhatsApp  ChannelType = "whatsapp"
	ChannelHeartbeat ChannelType = "heartbeat"
)

// ChannelTypes lists the types that can be configured.
func ChannelTypes() []ChannelType { return []ChannelType{ChannelSMTP, ChannelWebhook, ChannelWhatsApp} }

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The states of a delivery: it waits, a worker has taken it, or one of the ends.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliverySending   DeliveryStatus = "sending"
	DeliverySent      DeliveryStatus = "sent"
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryCollapsed DeliveryStatus = "collapsed" // it says nothing new, or a later one says it all
	DeliveryDropped   DeliveryStatus = "dropped"   // its channel was deleted or switched off while it waited
)

// The values of the fields of ChannelConfig that have a fixed set of them.
const (
	MailStartTLS = "starttls"
	MailTLS      = "tls"
	MailPlain    = "none"

	WebhookJSON  = "json"
	WebhookSlack = "slack"

	WhatsAppEvolution = "evolution"
	WhatsAppCloud     = "cloud"
)

// ChannelHeader is one header that a webhook sends.
type ChannelHeader struct {
	Name  string `json:"name" maxLength:"100"`
	Value string `json:"value" doc:"Write-only" maxLength:"2048"`
}

// ChannelConfig is the JSON document of notification_channels.config. Only the fields of the channel's
// type are set. What Secrets names is sealed in the database and write-only through the API.
type ChannelConfig struct {
	Host       string   `json:"host,omitempty" doc:"smtp: host name or address" maxLength:"255"`
	Port       int      `json:"port,omitempty" doc:"smtp: default 587, 465 with encryption tls" minimum:"0" maximum:"65535"`
	Encryption string   `json:"encryption,omitempty" doc:"smtp: starttls (default), tls (from the first byte) or none (refused together with a password)" enum:"starttls,tls,none"`
	Username   string   `json:"username,omitempty" doc:"smtp: left out for a server that asks for none" maxLength:"255"`
	Password   string   `json:"password,omitempty" doc:"smtp: write-only; answers show ********, and writing that back keeps the stored one" maxLength:"1024"`
	From       string   `json:"from,omitempty" doc:"smtp: sender, as an address or Name <address>" maxLength:"320"`
	To         []string `json:"to,omitempty" doc:"smtp: addresses; whatsapp: telephone numbers in international form, digits only" maxItems:"50"`

	URL            string          `json:"url,omitempty" doc:"webhook: http or https; gets a POST. Write-only: its path or query may be all that is needed to write there" maxLength:"2048"`
	Format         string          `json:"format,omitempty" doc:"webhook: json (default, docs/notifications.md) or slack (Block Kit)" enum:"json,slack"`
	Headers        []ChannelHeader `json:"headers,omitempty" doc:"webhook: sent with every request" maxItems:"20"`
	Secret         string          `json:"secret,omitempty" doc:"webhook: key of the signature in X-DataGuardian-Signature; write-only" maxLength:"1024"`
	AllowLinkLocal bool            `json:"allow_link_local,omitempty" doc:"Addresses of the link and of cloud metadata services are refused unless this is set"`

	Provider      string `json:"provider,omitempty" doc:"whatsapp: evolution (Evolution API) or cloud (WhatsApp Cloud API)" enum:"evolution,cloud"`
	APIURL        string `json:"api_url,omitempty" doc:"whatsapp: base URL; cloud: default https://graph.facebook.com/v23.0" maxLength:"2048"`
	APIKey        string `json:"api_key,omitempty" doc:"whatsapp evolution: write-only" maxLength:"1024"`
	Instance      string `json:"instance,omitempty" doc:"whatsapp evolution: name of the instance" maxLength:"200"`
	PhoneNumberID string `json:"phone_number_id,omitempty" doc:"whatsapp cloud: id of the number that sends" maxLength:"64"`
	AccessToken   string `json:"access_token,omitempty" doc:"whatsapp cloud: write-only" maxLength:"2048"`
	Template      string `json:"template,omitempty" doc:"whatsapp cloud: approved template whose body has one parameter, which gets the text on one line; left out: plain text, which reaches only who wrote within 24 hours" maxLength:"512"`
	Language      string `json:"language,omitempty" doc:"whatsapp cloud: of the template, default en_US" maxLength:"16"`

	CACertificate string `json:"ca_certificate,omitempty" doc:"PEM certificates trusted besides the system's" maxLength:"65536"`
}

// Normalize trims, and fills in the defaults of the type.
func (c *ChannelConfig) Normalize(t ChannelType) {
	switch t {
	case ChannelSMTP:
		setDefault(&c.Encryption, MailStartTLS)
		if c.Port == 0 {
			c.Port = 587
			if c.Encryption == MailTLS {
				c.Port = 465
			}
		}
	case ChannelWebhook:
		setDefault(&c.Format, WebhookJSON)
	case ChannelWhatsApp:
		if c.Provider == WhatsAppCloud {
			setDefault(&c.APIURL, "https://graph.facebook.com/v23.0")
			setDefault(&c.Language, "en_US")
		}
		c.APIURL = strings.TrimRight(c.APIURL, "/")
		for i := range c.To {
			c.To[i] = strings.TrimPrefix(strings.TrimSpace(c.To[i]), "+")
		}
	}
}

// Clone is a copy that shares nothing.
func (c ChannelConfig) Clone() ChannelConfig {
	c.To, c.Headers = slices.Clone(c.To), slices.Clone(c.Headers)
	return c
}

// Secrets gives the fields that are secret, by their names in the document. A field may be empty.
func (c *ChannelConfig) Secrets() map[string]*string {
	secrets := map[string]*string{"password": &c.Password, "secret": &c.Secret, "api_key": &c.APIKey, "access_token": &c.AccessToken}
	if c.Format != "" { // a webhook's: whoever has it may write there, and its path or query may be a token
		secrets["url"] = &c.URL
	}
	for i := range c.Headers {
		secrets["headers."+strings.ToLower(c.Headers[i].Name)] = &c.Headers[i].Value
	}
	return secrets
}

// SecretValues are the secrets that are set, for redaction, and what an address may hold of them.
func (c ChannelConfig) SecretValues() []string {
	var values []string
	for _, field := range c.Secrets() {
		if *field != "" {
			values = append(values, *field)
		}
	}
	for _, header := range c.Headers { // a server may repeat the token without the scheme before it
		if _, credentials, found := strings.Cut(header.Value, " "); found && len(credentials) > 8 {
			values = append(values, credentials)
		}
	}
	if u, err := url.Parse(c.URL); err == nil {
		// Whole, as a server may repeat it, and in its parts, of which one is the token.
		parts := append(strings.Split(u.EscapedPath(), "/"), strings.Split(u.Path, "/")...)
		for _, given := range u.Query() {
			parts = append(parts, given...)
		}
		for _, part := range append(parts, u.RequestURI(), strings.TrimPrefix(u.EscapedPath(), "/"), u.RawQuery) {
			if len(part) > 8 {
				values = append(values, part)
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// rewritten is how many digits at the end of a telephone number stay where a provider writes it in another way, as those of Brazil
// and Mexico.
const rewritten = 8

// HiddenValues are SecretValues and, of WhatsApp, the telephone numbers, which both providers repeat in their answers: with
// "+" or as a JID too, whose rest says nothing, and within the ids of the Cloud API's messages, which hold them in base64 from a
// third byte on.
func (c ChannelConfig) HiddenValues() []string {
	values := c.SecretValues()
	if c.Provider == "" {
		return values
	}
	for _, number := range c.To {
		number = strings.TrimPrefix(number, "+")
		whole := number[:len(number)/3*3]
		values = append(values, number, number[max(0, len(number)-rewritten):], base64.StdEncoding.EncodeToString([]byte(whole)))
	}
	return values
}

// Validate finds every wrong field of a configuration in its normal form.
func (c ChannelConfig) Validate(t ChannelType) Invalid {
	var v Invalid
	c.checkForeign(&v, t)
	switch t {
	case ChannelSMTP:
		c.checkMail(&v)
	case ChannelWebhook:
		c.checkWebhook(&v)
	case ChannelWhatsApp:
		c.checkWhatsApp(&v)
	default:
		v.Add("type", "is %q; use smtp, webhook or whatsapp", t)
	}
	return v
}

// fieldsOf are the fields that each type has; ca_certificate and allow_link_local are everybody's.
var fieldsOf = map[ChannelType][]string{
	ChannelSMTP:     {"host", "port", "encryption", "username", "password", "from", "to"},
	ChannelWebhook:  {"url", "format", "headers", "secret"},
	ChannelWhatsApp: {"provider", "api_url", "api_key", "instance", "phone_number_id", "access_token", "template", "language", "to"},
}

// checkForeign refuses fields that the type does not read: what is accepted does something.
func (c ChannelConfig) checkForeign(v *Invalid, t ChannelType) {
	own := append([]string{"ca_certificate", "allow_link_local"}, fieldsOf[t]...)
	for name, value := range jsonFields(c) {
		if !value.IsZero() && !slices.Contains(own, name) {
			v.Add("config."+name, "has no meaning for a channel of type %s; leave it out", t)
		}
	}
}

func (c ChannelConfig) checkMail(v *Invalid) {
	if strings.TrimSpace(c.Host) == "" || strings.ContainsAny(c.Host, " /\r\n\x00") {
		v.Add("config.host", "is required: the host name or address of the mail server")
	}
	checkRange(v, "config.port", c.Port, 1, 65535)
	if !oneOf(c.Encryption, MailStartTLS, MailTLS, MailPlain) {
		v.Add("config.encryption", "is %q; use starttls, tls or none", c.Encryption)
	}
	if (c.Username == "") != (c.Password == "") {
		v.Add("config.password", "give username and password, or neither")
	}
	if c.Encryption == MailPlain && c.Password != "" {
		v.Add("config.encryption", "is none, which would send the password in the clear; use starttls or tls")
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		v.Add("config.from", "is not an address such as backups@example.com or Backups <backups@example.com>")
	}
	c.checkTo(v, "an address", func(to string) bool { _, err := mail.ParseAddress(to); return err == nil })
}

func (c ChannelConfig) checkTo(v *Invalid, kind string, valid func(string) bool) {
	if len(c.To) == 0 {
		v.Add("config.to", "is required: at least one")
	}
	for i, to := range c.To {
		switch {
		case !valid(to):
			v.Add("config.to["+strconv.Itoa(i)+"]", "is not %s", kind)
		case slices.Contains(c.To[:i], to):
			v.Add("config.to["+strconv.Itoa(i)+"]", "is there twice")
		}
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// ownHeaders are written by DataGuardian or by HTTP itself.
var ownHeaders = []string{"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent"}

func (c ChannelConfig) checkWebhook(v *Invalid) {
	if !IsHTTPURL(c.URL) {
		v.Add("config.url", "is not an http or https URL with a host and without a user")
	}
	if !oneOf(c.Format, WebhookJSON, WebhookSlack) {
		v.Add("config.format", "is %q; use json or slack", c.Format)
	}
	seen := map[string]bool{}
	for i, header := range c.Headers {
		field, name := "config.headers["+strconv.Itoa(i)+"]", strings.ToLower(header.Name)
		switch {
		case !headerName.MatchString(header.Name):
			v.Add(field, "has the name %q; use letters, digits and dashes", header.Name)
		case slices.Contains(ownHeaders, name) || strings.HasPrefix(name, "x-dataguardian-"):
			v.Add(field, "is %s, which DataGuardian writes itself", header.Name)
		case seen[name]:
			v.Add(field, "is %s, which is there twice", header.Name)
		case strings.ContainsFunc(header.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			v.Add(field, "has a control character in its value")
		}
		seen[name] = true
	}
}

var (
	phoneNumber  = regexp.MustCompile(`^[1-9][0-9]{5,14}$`)
	instanceName = regexp.MustCompile(`^[A-Za-z0-9 ._-]+$`)
	digits       = regexp.MustCompile(`^[0-9]+$`)
)

func (c ChannelConfig) checkWhatsApp(v *Invalid) {
	if !IsHTTPURL(c.APIURL) {
		v.Add("config.api_url", "is not an http or https URL with a host and without a user")
	}
	c.checkTo(v, "a telephone number in international form, digits only", phoneNumber.MatchString)
	switch c.Provider {
	case WhatsAppEvolution:
		if c.APIKey == "" {
			v.Add("config.api_key", "is required")
		}
		if !instanceName.MatchString(c.Instance) {
			v.Add("config.instance", "is required: the name of the instance")
		}
		if c.PhoneNumberID != "" || c.AccessToken != "" || c.Template != "" || c.Language != "" {
			v.Add("config.provider", "is evolution, which has no phone_number_id, access_token, template or language")
		}
	case WhatsAppCloud:
		if c.AccessToken == "" {
			v.Add("config.access_token", "is required")
		}
		if !digits.MatchString(c.PhoneNumberID) {
			v.Add("config.phone_number_id", "is required: the id of the number that sends, digits only")
		}
		if c.APIKey != "" || c.Instance != "" {
			v.Add("config.provider", "is cloud, which has no api_key or instance")
		}
	default:
		v.Add("config.provider", "is %q; use evolution or cloud", c.Provider)
	}
}

// IsHTTPURL reports whether text is an http or https URL with a host and without a user.
func IsHTTPURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil
}
