package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStatementThatNamesADatabaseIsFound(t *testing.T) {
	for _, c := range []struct {
		kind      DatasourceType
		statement string
		found     bool
	}{
		{MariaDB, "UPDATE shop.customers SET name = 'x'", true},
		{MySQL, "UPDATE `shop`.`customers` SET name = 'x'", true},
		{MySQL, "UPDATE SHOP . customers SET name = 'x'", true},
		{MySQL, "UPDATE shop/* the shop */.customers SET name = 'x'", true},
		{MySQL, "/*!50000 UPDATE shop.customers SET name = 'x' */", true},
		{MySQL, `UPDATE "shop"."customers" SET name = 'x'`, true},
		{MySQL, `UPDATE customers SET a = 'it\'s', b = (SELECT max(b) FROM shop.orders)`, true},
		{MySQL, `UPDATE customers SET a = 'C:\', b = (SELECT max(b) FROM shop.orders WHERE c <> '')`, true},
		{MariaDB, "EXECUTE IMMEDIATE 'UPDATE shop.customers SET name = 1'", true},
		{MySQL, "USE shop", true},
		{MySQL, "UPDATE customers SET name = 'x'", false},
		{MySQL, "UPDATE customers SET mail = concat(id, '@shop.com'), note = \"see shop.com\"", false},
		{MySQL, "UPDATE customers SET name = 'x' -- not shop.customers\n", false},
		{MySQL, "UPDATE customers SET name = 'x' # not shop.customers", false},
		{MySQL, "UPDATE customers SET shop = 1.5 WHERE customers.shop > 3", false},
		{MySQL, "UPDATE workshop.customers SET name = 'x'", false},
		{SQLServer, "UPDATE [shop].dbo.customers SET name = 'x'", true},
		{SQLServer, "UPDATE shop..customers SET name = 'x'", true},
		{SQLServer, "UPDATE local.shop.[dbo].customers SET name = 'x'", true},
		{SQLServer, "USE [shop]; UPDATE customers SET name = 'x'", true},
		{SQLServer, "EXEC sp_executesql N'UPDATE shop.dbo.customers SET name = 1'", true},
		{SQLServer, "UPDATE shop.customers SET name = 'x'", false}, // a schema
		{SQLServer, "UPDATE dbo.customers SET mail = 'a@shop.co.uk'", false},
		{Postgres, "UPDATE shop.customers SET name = 'x'", false}, // a schema
	} {
		want := ""
		if c.found {
			want = "shop"
		}
		require.Equal(t, want, NamedDatabase(c.kind, c.statement, "", "shop"), c.statement)
	}
}
