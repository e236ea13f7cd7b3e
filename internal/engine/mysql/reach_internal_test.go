package mysql

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsAboutOtherDatabasesAreFound(t *testing.T) {
	for _, statement := range []string{
		"DROP TABLE `other`.`t`", "DROP TABLE IF EXISTS `other`.`t`", "drop table other.t", "DROP TABLE `mine`, other . t", "/*!50001 DROP TABLE IF EXISTS `other`.`t`*/",
		"DROP /* a comment */ TABLE\n-- and\n# another\n`other` /**/ . t", "DROP TEMPORARY TABLE other.t", "DROP VIEW IF EXISTS other.v", "DROP PROCEDURE other.p", "DROP PACKAGE BODY other.p",
		"CREATE TABLE `other`.`t` (a int)", "CREATE OR REPLACE TABLE other.t (a int)", "CREATE TABLE IF NOT EXISTS other.t LIKE mine", "CREATE SEQUENCE other.s",
		"ALTER TABLE `ot``her`.`t` ADD b int", "/*!40000 ALTER TABLE `other`.`t` DISABLE KEYS */", "ALTER ONLINE TABLE other.t FORCE",
		"LOCK TABLES `mine` WRITE, `other`.`t` READ", "RENAME TABLE mine TO other.mine", "TRUNCATE TABLE other.t", "TRUNCATE other.t",
		"INSERT INTO `mysql`.`global_priv` VALUES", "INSERT INTO mysql.user VALUES", "INSERT  IGNORE INTO \"mysql\".\"user\" (`a`) VALUES", "REPLACE INTO `mysql`.`user` VALUES", "insert mysql.user set a = 1",
		"UPDATE mysql.user SET a = 1", "DELETE FROM mysql.user", "DROP TABLE" + strings.Repeat(" ", 2000) + "other.t",
	} {
		require.True(t, reachesBeyond([]byte(statement)), statement)
	}
}

// What mariadb-dump and mysqldump write, some of it of other versions than the one here, and with names that look like more.
func TestStatementsOfDumpsReachNothingElse(t *testing.T) {
	for _, statement := range []string{
		"", ";", "DROP TABLE IF EXISTS `t`;", "DROP TABLE IF EXISTS `a.b`;", "DROP TABLE IF EXISTS `a``.``b`;", "DROP TABLE IF EXISTS \"a.b\";", "DROP TABLE IF EXISTS t;",
		"/*!50001 DROP VIEW IF EXISTS `v`*/;", "/*!50003 DROP PROCEDURE IF EXISTS `p` */;", "/*!50106 DROP EVENT IF EXISTS `e` */;", "/*!50032 DROP TRIGGER IF EXISTS `t` */;", "DROP SEQUENCE IF EXISTS `s`;",
		"CREATE TABLE `t` (\n  `a` int DEFAULT nextval(`db`.`s`),\n  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `other`.`t` (`a`)\n) ENGINE=MERGE UNION=(`other`.`u`);",
		"/*!50001 CREATE TABLE `v` (\n  `a` tinyint NOT NULL\n) ENGINE=MyISAM */;", "/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `a`*/;",
		"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select `other`.`t`.`a` AS `a` from `other`.`t` */;",
		"CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 9223372036854775806 increment by 1 cache 1000 nocycle ENGINE=InnoDB;", "DO SETVAL(`s`, 1001, 0);",
		"INSERT INTO `t` VALUES", "INSERT INTO `a.b` VALUES", "INSERT  IGNORE INTO `t` (`a`, `b.c`) VALUES", "REPLACE INTO `t` VALUES", "INSERT INTO t VALUES", "INSERT INTO `t` VALUES (1.5,'other.t')",
		"LOCK TABLES `t` WRITE;", "LOCK TABLES `t` WRITE, `u` READ;", "UNLOCK TABLES;", "/*!40000 ALTER TABLE `t` DISABLE KEYS */;", "/*!40000 ALTER TABLE `t` ENABLE KEYS */;",
		"ALTER TABLE `t` ADD CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `other`.`t` (`a`);", "ALTER DATABASE `db` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci ;",
		"/*!50003 CREATE*/ /*!50017 DEFINER=`table`@`%`*/ /*!50003 TRIGGER `db`.`audit` AFTER INSERT ON `db`.`orders` FOR EACH ROW INSERT INTO other.log VALUES (1) */;;",
		"CREATE DEFINER=`root`@`localhost` PROCEDURE `p`()\nINSERT INTO other.log VALUES (1) ;;", "CREATE DEFINER=`r`@`h` EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM other.log",
		"/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;", "SET @saved_cs_client     = @@character_set_client;", "/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, NOTE_VERBOSITY=0 */;",
		"/*!50003 SET sql_mode              = '' */ ;", "/*M!999999\\- enable the sandbox mode */ ", "set autocommit=0;", "commit;",
	} {
		require.False(t, reachesBeyond([]byte(statement)), statement)
		_, err := checkStatement([]byte(statement))
		require.NoError(t, err, statement)
	}
}

// TestWhatProgramsDoMayNameOtherDatabases: their statements are pieces to the script.
func TestWhatProgramsDoMayNameOtherDatabases(t *testing.T) {
	for statement, refused := range map[string]bool{
		"CREATE DEFINER=`table`@`view` PROCEDURE `p`()\nBEGIN\n SELECT 1;\n INSERT INTO other.log VALUES (1);\n DELETE FROM other.log;\nEND":                       false,
		"/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER `t` BEFORE INSERT ON `a` FOR EACH ROW BEGIN SET @x = 1; UPDATE other.log SET a = 1; END */": false,
		"SELECT 1; DELETE FROM other.log; SELECT 2":            true,
		"CREATE TABLE `procedure` (a int); DROP TABLE other.t": true,
	} {
		s := newScript()
		_, err := s.Write([]byte("DELIMITER ;;\n" + statement + " ;;\nDELIMITER ;\n"))
		require.Equal(t, refused, err != nil, "%s: %v", statement, err)
	}
}
