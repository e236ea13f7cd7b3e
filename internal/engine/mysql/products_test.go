package mysql_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/mysql"
	"github.com/dataguardian/dataguardian/internal/engine/mysql/mariadbserver"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// mysqlDump is what mysqldump of MySQL 8.0 writes, in its order and with its comments: no MySQL server could be had here.
const mysqlDump = `-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table ` + "`customers`" + `
--

DROP TABLE IF EXISTS ` + "`customers`" + `;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE ` + "`customers`" + ` (
  ` + "`id`" + ` int unsigned NOT NULL AUTO_INCREMENT,
  ` + "`name`" + ` varchar(100) NOT NULL,
  ` + "`code`" + ` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs DEFAULT NULL COMMENT 'COLLATE',
  ` + "`raw`" + ` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin DEFAULT NULL,
  ` + "`extra`" + ` json DEFAULT NULL,
  ` + "`photo`" + ` blob,
  ` + "`made`" + ` datetime(6) DEFAULT CURRENT_TIMESTAMP(6),
  ` + "`shout`" + ` varchar(100) GENERATED ALWAYS AS (upper(` + "`name`" + `)) STORED,
  ` + "`hidden`" + ` int DEFAULT NULL /*!80023 INVISIBLE */,
  PRIMARY KEY (` + "`id`" + `),
  UNIQUE KEY ` + "`by_name`" + ` (` + "`name`" + `)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table ` + "`customers`" + `
--

/*!40000 ALTER TABLE ` + "`customers`" + ` DISABLE KEYS */;
INSERT INTO ` + "`customers`" + ` (` + "`id`, `name`, `code`, `raw`, `extra`, `photo`, `made`, `hidden`" + `) VALUES (1,'Zoë 😀','A','a ','{\"a\": [1, null]}',0x00FF27,'2024-02-29 12:00:00.123456',7),(2,'a COLLATE utf8mb4_0900_ai_ci',NULL,NULL,NULL,NULL,NULL,NULL),(3,'a COLLATE utf8mb4_0900_ai_ci ',NULL,NULL,NULL,NULL,NULL,NULL);
/*!40000 ALTER TABLE ` + "`customers`" + ` ENABLE KEYS */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=` + "`root`@`localhost`" + `*/ /*!50003 TRIGGER ` + "`trim_it`" + ` BEFORE INSERT ON ` + "`customers`" + ` FOR EACH ROW SET NEW.name = trim(NEW.name) */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Temporary view structure for view ` + "`names`" + `
--

DROP TABLE IF EXISTS ` + "`names`" + `;
/*!50001 DROP VIEW IF EXISTS ` + "`names`" + `*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW ` + "`names`" + ` AS SELECT 
 1 AS ` + "`name`" + `*/;
SET character_set_client = @saved_cs_client;

--
-- Dumping events for database 'shop'
--

--
-- Dumping routines for database 'shop'
--
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
ALTER DATABASE ` + "`shop`" + ` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci ;
DELIMITER ;;
CREATE DEFINER=` + "`root`@`localhost`" + ` FUNCTION ` + "`twice`" + `(a int) RETURNS int
    DETERMINISTIC
RETURN a * 2 ;;
DELIMITER ;

--
-- Final view structure for view ` + "`names`" + `
--

/*!50001 DROP VIEW IF EXISTS ` + "`names`" + `*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=` + "`root`@`localhost`" + ` SQL SECURITY DEFINER */
/*!50001 VIEW ` + "`names` AS select `customers`.`name` AS `name` from `customers`" + ` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET collation_connection      = @saved_col_connection */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed
`

func mysqlArchive(collation string) enginetest.Archive {
	return enginetest.Archive{Bytes: []byte(mysqlDump), Stream: engine.Stream{Name: mysql.StreamName, Format: mysql.Format, Properties: map[string]string{
		"database": "shop", "server_version": "8.0.36", "character_set": "utf8mb4", "collation": collation,
	}}}
}

func TestABackupOfMySQLRestoresIntoMariaDB(t *testing.T) {
	archive := mysqlArchive("utf8mb4_0900_ai_ci")
	tables, err := newEngine().Inspect(enginetest.Context(t), archive.Stream, strings.NewReader(mysqlDump))
	require.NoError(t, err)
	require.Equal(t, 1, tables)
	src := source("")
	req := archive.Request("abab0001", fresh(t))
	report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	said := strings.Join(report.Warnings, "\n")
	for _, warning := range []string{
		"utf8mb4_0900_ai_ci by utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_as_cs by utf8mb4_uca1400_nopad_as_cs", "utf8mb4_0900_bin by utf8mb4_nopad_bin",
	} {
		require.Contains(t, said, warning)
	}
	require.Equal(t, []string{`"utf8mb4_uca1400_nopad_ai_ci"`}, queryRows(t, "", "select default_collation_name from information_schema.schemata where schema_name = ?", req.Target))
	require.Equal(t, []string{
		`"1" "Zoë 😀" "A" "a " "{\"a\": [1, null]}" "00FF27" "2024-02-29 12:00:00.123456" "ZOË 😀" "7"`,
		`"2" "a COLLATE utf8mb4_0900_ai_ci" NULL NULL NULL NULL NULL "A COLLATE UTF8MB4_0900_AI_CI" NULL`,
		`"3" "a COLLATE utf8mb4_0900_ai_ci " NULL NULL NULL NULL NULL "A COLLATE UTF8MB4_0900_AI_CI " NULL`,
	}, queryRows(t, req.Target, "select id, name, code, raw, extra, hex(photo), made, shout, hidden from customers order by id"))
	require.Equal(t, []string{`"3"`}, queryRows(t, req.Target, "select count(*) from information_schema.views v, information_schema.routines r, information_schema.triggers t, customers c where v.table_schema = database() and routine_schema = database() and trigger_schema = database()"))
	execute(t, req.Target, "INSERT INTO customers (name) VALUES ('  trimmed ')")
	require.Equal(t, []string{`"trimmed" "8"`}, queryRows(t, req.Target, "select name, twice(id) from customers where id = 4"))
}

func TestACollationThatNobodyHasCostsOnlyTheCollation(t *testing.T) {
	archive := mysqlArchive("utf8mb4_martian_ci")
	report := enginetest.Restore(t, newEngine(), source(""), archive.Request("abab0002", fresh(t)), archive.Opener())
	require.Contains(t, strings.Join(report.Warnings, "\n"), "does not have utf8mb4_martian_ci")
}

func TestANewerDefaultCollationOfMariaDBIsKept(t *testing.T) {
	src := create(t, "newer collation", "CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci", "CREATE TABLE a (v varchar(9) PRIMARY KEY)")
	archive, _ := enginetest.Dump(t, newEngine(), src, engine.DumpOptions{})
	req := archive.Request("abab0003", fresh(t))
	report := enginetest.Restore(t, newEngine(), src, req, archive.Opener())
	require.Empty(t, report.Warnings)
	require.Equal(t, content(t, src), content(t, in(src, req.Target)))
}

// fakeTool writes a program that says it is of this version and passes everything on to the real one, less what that
// does not know. Its arguments are in the file args beside it.
func fakeTool(t *testing.T, dir, name, version string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/bash\nif [ \"$1\" = --version ]; then echo '%s'; exit; fi\nprintf '%%s\\n' \"$@\" > %s/args\nkept=()\n"+
		"for a in \"$@\"; do case \"$a\" in --set-gtid-purged=*|--column-statistics=*) ;; *) kept+=(\"$a\");; esac; done\nexec /usr/bin/mariadb-dump \"${kept[@]}\"\n", version, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755)) //nolint:gosec // a program
}

func TestTheToolsOfTheServersProductAreTakenAndMySQLsLeavesGTIDsOut(t *testing.T) {
	const (
		ofMariaDB = "mariadb-dump from 11.4.2-MariaDB, client 10.19 for debian-linux-gnu (x86_64)"
		aliased   = "mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)"
		mysql57   = "mysqldump  Ver 10.13 Distrib 5.7.44, for linux-glibc2.12 (x86_64)"
		mysql80   = "mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)"
	)
	// A server that says it is MySQL, for what is chosen and said; what it answers is MariaDB's.
	dir, err := os.MkdirTemp("", "dataguardian-likemysql-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	posing, err := mariadbserver.Start(enginetest.Context(t), dir, "--version=8.0.36")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, posing.Stop()) })
	db := posing.Open("")
	defer db.Close()
	for _, statement := range []string{"CREATE DATABASE products", "CREATE TABLE products.kept (n int)"} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	ours := create(t, "products", "", "CREATE TABLE kept (n int)")
	for name, test := range map[string]struct {
		src         engine.Source
		tools       map[string]string // by name
		want        string            // version of what is taken
		warns       string
		args, never []string
	}{
		"MariaDB's for MariaDB":                     {ours, map[string]string{"mariadb-dump": ofMariaDB, "mysqldump": mysql57}, "11.4.2", "", nil, []string{"--set-gtid-purged=OFF"}},
		"MariaDB's under MySQL's name":              {ours, map[string]string{"mysqldump": aliased}, "10.11.19", "", nil, []string{"--set-gtid-purged=OFF"}},
		"MySQL's for MariaDB, if there is no other": {ours, map[string]string{"mysqldump": mysql57}, "5.7.44", "of MySQL 5.7 serves this MariaDB server", []string{"--set-gtid-purged=OFF"}, []string{"--column-statistics=0"}},
		"MySQL's for MySQL":                         {sourceOn(posing, "products"), map[string]string{"mariadb-dump": ofMariaDB, "mysqldump": mysql80}, "8.0.36", "", []string{"--set-gtid-purged=OFF", "--column-statistics=0"}, nil},
		"MariaDB's for MySQL, if there is no other": {sourceOn(posing, "products"), map[string]string{"mariadb-dump": ofMariaDB}, "11.4.2", "of MariaDB 11.4 serves this MySQL server", nil, []string{"--set-gtid-purged=OFF"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for tool, version := range test.tools {
				fakeTool(t, dir, tool, version)
			}
			_, report, err := enginetest.TryDump(t, withTools(dir), test.src, engine.DumpOptions{})
			require.NoError(t, err)
			for _, version := range report.ToolVersions {
				require.Equal(t, test.want, version)
			}
			said := strings.Join(report.Warnings, "\n")
			if test.warns == "" {
				require.NotContains(t, said, "serves this")
			} else {
				require.Contains(t, said, test.warns)
			}
			text, err := os.ReadFile(filepath.Join(dir, "args")) //nolint:gosec // a test's directory
			require.NoError(t, err)
			args := strings.Split(string(text), "\n")
			for _, option := range append(test.args, "--single-transaction", "--routines", "--triggers", "--events", "--hex-blob", "--default-character-set=utf8mb4") {
				require.Contains(t, args, option)
			}
			for _, option := range test.never {
				require.NotContains(t, args, option)
			}
		})
	}
	t.Run("what is not in the given directories is taken from PATH, after them", func(t *testing.T) {
		enginetest.Dump(t, mysql.New(domain.MariaDB, mysql.Options{BinDirs: []string{t.TempDir()}}), ours, engine.DumpOptions{})
		dir := t.TempDir()
		fakeTool(t, dir, "mysqldump", mysql57) // PATH has MariaDB's own, which would be the better one
		_, report, err := enginetest.TryDump(t, mysql.New(domain.MariaDB, mysql.Options{BinDirs: []string{dir}}), ours, engine.DumpOptions{})
		require.NoError(t, err)
		require.Contains(t, strings.Join(report.Warnings, "\n"), "of MySQL 5.7 serves this MariaDB server")
	})
	t.Run("a server that is too new for the tool is told", func(t *testing.T) {
		dir := t.TempDir()
		fakeTool(t, dir, "mysqldump", mysql57)
		_, _, err := enginetest.TryDump(t, withTools(dir), sourceOn(posing, "products"), engine.DumpOptions{})
		enginetest.RequireClass(t, failure.ToolMissing, err)
		require.ErrorContains(t, err, "a MySQL 8.0 server is needed; found only "+filepath.Join(dir, "mysqldump")+" (MySQL 5.7.44)")
		require.Contains(t, failure.HintOf(err), "mysql-client")
	})
}
