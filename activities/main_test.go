package activities_test

import (
	"os"
	"testing"

	"github.com/dataguardian/dataguardian/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
