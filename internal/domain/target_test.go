package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/domain"
)

const (
	diskA = "018f0000-0000-7000-8000-00000000000a"
	diskB = "018f0000-0000-7000-8000-00000000000b"
	diskC = "018f0000-0000-7000-8000-00000000000c"
)

func TestStorageTargetsComeInTheirOrder(t *testing.T) {
	o := domain.BackupOptions{StorageTargets: []domain.StorageTarget{
		{StorageLocationID: diskC, Order: 2}, {StorageLocationID: diskB, Order: 1}, {StorageLocationID: diskA, Order: 2},
	}}
	require.Equal(t, []string{diskB, diskC, diskA}, o.Targets())
	require.Empty(t, domain.BackupOptions{}.Targets())
}

func TestStorageTargetsThatCanNotBeAreRefusedByTheirField(t *testing.T) {
	target := func(id string) domain.StorageTarget { return domain.StorageTarget{StorageLocationID: id} }
	many := make([]domain.StorageTarget, domain.MaxStorageTargets+1)
	for i := range many {
		many[i] = target(diskA[:35] + string(rune('0'+i)))
	}
	for name, c := range map[string]struct {
		strategy domain.StorageStrategy
		targets  []domain.StorageTarget
		fields   []string
	}{
		"fallback needs none":                   {"", nil, nil},
		"replicate needs one":                   {domain.StrategyReplicate, nil, []string{"storage_targets"}},
		"replicate to one":                      {domain.StrategyReplicate, []domain.StorageTarget{target(diskA)}, nil},
		"another strategy":                      {"mirror", nil, []string{"storage_strategy"}},
		"a location twice, in whatever letters": {"", []domain.StorageTarget{target(diskA), target("018F0000-0000-7000-8000-00000000000A")}, []string{"storage_targets[1].storage_location_id"}},
		"no id":                                 {"", []domain.StorageTarget{target(diskA), target("disk")}, []string{"storage_targets[1].storage_location_id"}},
		"too many":                              {"", many, []string{"storage_targets"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := domain.BackupOptions{StorageStrategy: c.strategy, StorageTargets: c.targets}
			o.Normalize()
			var fields []string
			for _, problem := range o.Validate() {
				fields = append(fields, problem.Field)
			}
			require.Equal(t, c.fields, fields)
		})
	}
}
