package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// onServer has the files on an SSH server.
func onServer(r *domain.ReferencedFiles) *domain.ReferencedFiles {
	r.SourceType, r.Host, r.Username, r.Password, r.HostKey = domain.FilesSSH, " files ", "reader", "p", "SHA256:"+strings.Repeat("a", 43)
	return r
}

func TestReferencedFilesAreChecked(t *testing.T) {
	good := func() *domain.ReferencedFiles {
		return &domain.ReferencedFiles{Enabled: true, DiscoveryQuery: "select path from t", PathColumn: " path ", BaseDirectories: []string{"/srv/files/"}}
	}
	for name, c := range map[string]struct {
		change func(*domain.ReferencedFiles)
		wrong  []string
	}{
		"all that is needed":         {func(*domain.ReferencedFiles) {}, nil},
		"nothing":                    {func(r *domain.ReferencedFiles) { *r = domain.ReferencedFiles{Enabled: true} }, []string{"discovery_query", "path_column", "base_directories"}},
		"a relative base":            {func(r *domain.ReferencedFiles) { r.BaseDirectories = []string{"files"} }, []string{"base_directories"}},
		"the whole machine":          {func(r *domain.ReferencedFiles) { r.BaseDirectories = []string{"/srv/.."} }, []string{"base_directories"}},
		"another source":             {func(r *domain.ReferencedFiles) { r.SourceType = "ftp" }, []string{"source_type"}},
		"an SSH server":              {func(r *domain.ReferencedFiles) { onServer(r) }, nil},
		"an SSH server, not pinned":  {func(r *domain.ReferencedFiles) { onServer(r).HostKey = "" }, []string{"host_key"}},
		"an SSH server, no secret":   {func(r *domain.ReferencedFiles) { onServer(r).Password = "" }, []string{"password"}},
		"local, with a login":        {func(r *domain.ReferencedFiles) { onServer(r).SourceType = "local" }, []string{"source_type"}},
		"a policy that there is not": {func(r *domain.ReferencedFiles) { r.MissingFilePolicy = "ignore" }, []string{"missing_file_policy"}},
		"too many":                   {func(r *domain.ReferencedFiles) { r.MaxFiles = domain.MaxReferencedFiles + 1 }, []string{"max_files"}},
	} {
		t.Run(name, func(t *testing.T) {
			options := domain.BackupOptions{ReferencedFiles: good()}
			c.change(options.ReferencedFiles)
			options.Normalize()
			var fields []string
			for _, wrong := range options.Validate() {
				fields = append(fields, wrong.Field)
			}
			for i := range c.wrong {
				c.wrong[i] = "referenced_files." + c.wrong[i]
			}
			require.Equal(t, c.wrong, fields)
		})
	}
	options := domain.BackupOptions{ReferencedFiles: good()}
	options.Normalize()
	require.Equal(t, "path", options.ReferencedFiles.PathColumn)
	require.Equal(t, []string{"/srv/files"}, options.ReferencedFiles.BaseDirectories)
	require.Equal(t, domain.DefaultReferencedFiles, options.ReferencedFiles.MaxFiles)
	require.Equal(t, domain.MissingWarn, options.ReferencedFiles.MissingFilePolicy)
	require.True(t, options.ReferencedFiles.Active())
	onServer(options.ReferencedFiles)
	options.Normalize()
	require.Equal(t, 22, options.ReferencedFiles.Port)
	require.Equal(t, "files", options.ReferencedFiles.Host)
	require.Empty(t, options.WithoutSecrets().ReferencedFiles.Password)
	require.Equal(t, "p", options.ReferencedFiles.Password)
}
