package sqlserver

import (
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"
)

func TestMessagesAboutValuesAreToldWithoutThem(t *testing.T) {
	for message, c := range map[string]struct {
		number int32
		shown  string
	}{
		"Violation of UNIQUE KEY constraint 'UQ_email'. Cannot insert duplicate key in object 'dbo.people'. The duplicate key value is (secret).": {
			2627, "Violation of UNIQUE KEY constraint 'UQ_email'. Cannot insert duplicate key in object 'dbo.people'. The duplicate key value is …"},
		"Cannot insert duplicate key row in object 'dbo.people' with unique index 'i'. The duplicate key value is (secret, 1).": {
			2601, "Cannot insert duplicate key row in object 'dbo.people' with unique index 'i'. The duplicate key value is …"},
		"Conversion failed when converting the varchar value 'secret to data type ' to data type int.": {
			245, "Conversion failed when converting the varchar value … to data type int."},
		"Arithmetic overflow error for data type tinyint, value = 9secret.": {220, "Arithmetic overflow error for data type tinyint, value = …"},
		"String or binary data would be truncated in table 'shop.dbo.people', column 'email'. Truncated value: 'secret'.": {
			2628, "String or binary data would be truncated in table 'shop.dbo.people', column 'email'. Truncated value: …"},
		"Fehler beim Konvertieren des varchar-Werts 'secret' in den int-Datentyp.": {245, "a value was refused"},
		"Invalid object name 'people'.":                                            {208, "Invalid object name 'people'."},
	} {
		err := classify("run the statement", mssql.Error{Number: c.number, Message: message})
		require.ErrorContains(t, err, c.shown)
		require.NotContains(t, err.Error(), "secret")
	}
}
