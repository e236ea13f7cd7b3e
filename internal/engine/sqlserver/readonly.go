package sqlserver

import (
	"fmt"
	"regexp"
	"strings"
)

// writing are the words of T-SQL which begin a statement that may write, call one, or change the session,
// and INTO, which makes a table. All but the last line are reserved: without brackets or quotes they can
// be no names.
var writing = wordSet(`
	ADD ALTER BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE COMMIT CONTINUE CREATE CURSOR DBCC DEALLOCATE DECLARE DELETE DENY DISK
	DROP DUMP EXEC EXECUTE FILE GOTO GRANT IDENTITY_INSERT IF INSERT INTO KILL LOAD MERGE OPEN OPENDATASOURCE OPENQUERY OPENROWSET
	PRINT PROC PROCEDURE RAISERROR READTEXT RECONFIGURE REPLICATION RESTORE RETURN REVERT REVOKE ROLLBACK SAVE SET SETUSER SHUTDOWN
	TRIGGER TRAN TRANSACTION TRUNCATE UPDATE UPDATETEXT USE WAITFOR WHILE WRITETEXT
	CONVERSATION RECEIVE SEND THROW GO`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// numberPattern is a number, or a part of one between points. SQL Server takes 1DROP for two words.
var numberPattern = regexp.MustCompile(`^([0-9]+([Ee][0-9]*)?|0[Xx][0-9A-Fa-f]*)$`)

// nextValue takes a number from a sequence, which no rollback gives back.
var nextValue = regexp.MustCompile(`\bNEXT VALUE FOR\b`)

// checkReads refuses a statement unless it is plainly one SELECT. It looks at words outside of comments,
// strings and quoted names, and would rather refuse a harmless statement than let another one pass:
// every character that is no ASCII letter, digit or underscore ends a word.
func checkReads(statement string) error {
	words, err := wordsOf(statement)
	if err != nil {
		return err
	}
	if len(words) == 0 || (words[0] != "SELECT" && words[0] != "WITH") {
		return errNotRead("the statement does not begin with SELECT or WITH")
	}
	for i, word := range words {
		switch {
		case word == ";" && i < len(words)-1:
			return errNotRead("there is more than one statement")
		case writing[word]:
			return errNotRead(fmt.Sprintf("the word %s may write", word))
		case word[0] >= '0' && word[0] <= '9' && !numberPattern.MatchString(word):
			return errNotRead(fmt.Sprintf("%q is no number", word))
		}
	}
	if nextValue.MatchString(strings.Join(words, " ")) {
		return errNotRead("NEXT VALUE FOR changes a sequence")
	}
	return nil
}

// wordsOf are the words of a statement in upper case, and its semicolons.
func wordsOf(statement string) ([]string, error) {
	var words []string
	for at := 0; at < len(statement); {
		rest := statement[at:]
		length, err := spanOf(rest)
		if err != nil {
			return nil, err
		}
		switch {
		case rest[0] == ';' || isWord(rest[0]):
			words = append(words, strings.ToUpper(rest[:length]))
		case rest[0] == 0:
			return nil, errNotRead("it holds a NUL")
		}
		at += length
	}
	return words, nil
}

// spanOf is the length of the comment, string, quoted name, word or character that text begins with.
func spanOf(text string) (int, error) {
	switch {
	case strings.HasPrefix(text, "--"):
		if end := strings.IndexAny(text, "\r\n"); end >= 0 {
			return end, nil
		}
		return len(text), nil
	case strings.HasPrefix(text, "/*"):
		return commentSpan(text)
	case text[0] == '\'' || text[0] == '"':
		return quotedSpan(text, text[0])
	case text[0] == '[':
		return quotedSpan(text, ']')
	}
	length := 1
	if isWord(text[0]) {
		for length < len(text) && isWord(text[length]) {
			length++
		}
	}
	return length, nil
}

// commentSpan is the length of a comment, in which there may be others.
func commentSpan(text string) (int, error) {
	depth := 0
	for at := 0; at < len(text)-1; at++ {
		switch text[at : at+2] {
		case "/*":
			depth++
			at++
		case "*/":
			depth--
			at++
		}
		if depth == 0 {
			return at + 1, nil
		}
	}
	return 0, errNotRead("a comment does not end")
}

// quotedSpan is the length of what stands in quotes; a doubled closing quote is part of it.
func quotedSpan(text string, closing byte) (int, error) {
	for at := 1; at < len(text); at++ {
		if text[at] != closing {
			continue
		}
		if at+1 < len(text) && text[at+1] == closing {
			at++
			continue
		}
		return at + 1, nil
	}
	return 0, errNotRead(fmt.Sprintf("a %c does not end", closing))
}

func isWord(c byte) bool {
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}
