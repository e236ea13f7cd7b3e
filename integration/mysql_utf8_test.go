package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mysqlUTF8 has nothing that keeps MariaDB's tool from reading it bytewise (decisions/0060): every type that is let in, and texts with
// every ASCII character and characters of two to four bytes, also in names, comments, defaults and every kind of object (in some of them
// MariaDB itself keeps none of four).
var mysqlUTF8 = []string{
	`CREATE SEQUENCE numbers START WITH 1000 INCREMENT BY -5 MINVALUE -9000 MAXVALUE 2000 CYCLE`,
	`CREATE TABLE every_type (n int PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint unsigned zerofill, m mediumint, i int(7) zerofill, b bigint unsigned,
		f float, f2 float(7,3), d double, e decimal(65,30), eu decimal(5,0) unsigned zerofill, bo boolean,
		da date, dt0 datetime, dt6 datetime(6), ts timestamp(6) NULL, ti time(6), y year,
		c char(10), nc nchar(5), v varchar(300), v3 varchar(300) CHARACTER SET utf8mb3, va varchar(300) CHARACTER SET ascii, vc varchar(300) COLLATE utf8mb4_bin,
		tt tinytext, te text, mt mediumtext, lt longtext, en enum('a', 'it''s', 'ünï 漢'), se set('x', 'y', 'é''s 漢'), j json, u uuid, i4 inet4, i6 inet6,
		df varchar(30) DEFAULT 'it''s ünï 漢 \\' COMMENT 'CHARACTER SET latin1 漢', gs varchar(310) GENERATED ALWAYS AS (concat(upper(v), ' 😀')) STORED,
		gv bigint GENERATED ALWAYS AS (t * 2) VIRTUAL, sq bigint DEFAULT nextval(numbers), inv int INVISIBLE DEFAULT 7,
		up timestamp(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3), co varchar(2000) COMPRESSED, CONSTRAINT small CHECK (t < 100 and v <> '漢'),
		KEY by_part (lt(20)), FULLTEXT KEY words (v)) COMMENT 'who ''buys'' 漢, b longblob'`,
	`INSERT INTO every_type (n, t, tu, s, m, i, b, f, f2, d, e, eu, bo, da, dt0, dt6, ts, ti, y, c, nc, v, v3, va, vc, tt, te, mt, lt, en, se, j, u, i4, i6, co)
		VALUES (1, -128, 255, 65535, -8388608, 42, 18446744073709551615, 1.5, 1234.567, 2.25e300, 12345678901234567890123456789012345.123456789012345678901234567891, 7, true,
		'1000-01-01', '9999-12-31 23:59:59', '2025-02-03 04:05:06.000001', '2025-02-03 04:05:06.123456', '-838:59:59', 2155,
		'ç', 'ñ漢', 'ünï 😀 \\ \n \0 \Z '' " % \\N', '漢字 é', 'plain \\ ''', '𝄞 👩‍👩‍👧 İ', 'tiny 😀', 'te\\xt 😀', 'médium', repeat('long 😀 é \' ', 7000), 'ünï 漢', 'x,é''s 漢',
		'{"a": [1, null, "é 😀"], "\\n": "\\u00e9"}', '6ccd780c-baba-1026-9564-5b8c656024db', '1.2.3.4', '2001:db8::1', repeat('compressed 😀 ', 100))`,
	`INSERT INTO every_type (n, t, s, f, d, e, da, y, c, v, lt, se, ti) VALUES (3, 0, 0, 0, -0.0, 0, NULL, 0, '', '', '', '', 0)`,
	`INSERT INTO every_type (n) VALUES (2)`,
	"CREATE TABLE `ключ 漢 ``\"'` (`колонка 漢` int PRIMARY KEY, of_one char(9), of_mb3 varchar(300) CHARACTER SET utf8mb3, of_mb4 text, of_ascii varchar(300) CHARACTER SET ascii)",
	"INSERT INTO `ключ 漢 ``\"'` SELECT seq, char(seq), concat('é€\\\\', char(seq), 'ü''\"'), concat(char(seq), '😀', char(seq), 'ü', char(seq)), char(seq) FROM seq_0_to_127",
	`CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL)`,
	`CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, note varchar(200), FOREIGN KEY (customer) REFERENCES customers (id))`,
	`INSERT INTO customers (name) SELECT concat('customer 😀 ', seq) FROM seq_1_to_500`,
	`INSERT INTO orders (customer, note) SELECT 1 + seq % 500, concat('é', sha2(seq, 512)) FROM seq_1_to_40000`,
	`CREATE TABLE kept_history (id int PRIMARY KEY, v varchar(20)) WITH SYSTEM VERSIONING`,
	`INSERT INTO kept_history VALUES (1, 'first'), (2, 'second 😀')`,
	`UPDATE kept_history SET v = 'third' WHERE id = 2`,
	`CREATE TABLE listed (v int) PARTITION BY LIST (v) (PARTITION a VALUES IN (1, 2), PARTITION b DEFAULT)`,
	`INSERT INTO listed VALUES (1), (2), (3)`,
	"CREATE VIEW by_customer AS SELECT c.name, count(*) AS `orders 漢` FROM customers c JOIN orders o ON o.customer = c.id WHERE c.name <> 'x 😀' GROUP BY c.name",
	`CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC COMMENT 'don''t 漢' RETURN a * 2`,
	`CREATE PROCEDURE add_order(IN who int, OUT id int) BEGIN /* it's 漢 */ INSERT INTO orders (customer, note) VALUES (who, 'it''s; new 😀'); SET id = last_insert_id(); END`,
	`CREATE TRIGGER shout BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = concat(upper(NEW.name), ' 😀')`,
	`CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'it''s 漢' DO DELETE FROM listed WHERE v = 3`,
	`CREATE EVENT asleep ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE DO DELETE FROM listed`,
	`DO nextval(numbers)`,
}

// dumpsRecorded is a directory with MariaDB's dump tool, which writes the arguments of each call into a line of a file.
func dumpsRecorded(t *testing.T) (dir, file string) {
	t.Helper()
	program, err := exec.LookPath("mariadb-dump")
	require.NoError(t, err)
	dir, file = t.TempDir(), filepath.Join(t.TempDir(), "dumps")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] || echo \"$*\" >>%q\nexec %s \"$@\"\n", file, program)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mariadb-dump"), []byte(script), 0o755)) //nolint:gosec // a program
	return dir, file
}

// requireDumpedIn wants so many dumps of a database, each read in the character set.
func requireDumpedIn(t *testing.T, file, database, charset string, dumps int) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a test's own
	require.NoError(t, err)
	seen := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(line, " -- "+database+"\n") {
			require.Contains(t, line, "--default-character-set="+charset+" ")
			seen++
		}
	}
	require.Equal(t, dumps, seen)
}
