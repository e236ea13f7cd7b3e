package contract

// The kinds of transfer that look into a datasource.
const (
	TransferSchema = "datasource_schema" // its content is a domain.Schema
	TransferQuery  = "datasource_query"  // its content is a domain.QueryResult
)

// DatasourceLook asks what a datasource holds. It travels in a ticket, sealed, and its answer from the worker to
// the API: neither the statement nor rows are anybody's who may read workflow histories.
type DatasourceLook struct {
	DatasourceID string `json:"datasource_id"`
	Pool         string `json:"pool"`                // the datasource's, when it was asked for
	Database     string `json:"database,omitempty"`  // "" is the datasource's own
	Statement    string `json:"statement,omitempty"` // of TransferQuery
}
