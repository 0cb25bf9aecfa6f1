package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// columns resolves the columns of a data frame for a version, by the names in the
// configuration or else in the profile. Names that do not fit it are left out.
func (b *tableBuilder) columns(v infer.Version, model *infer.Model) *infer.Columns {
	names := b.goal.cfg.Model(v.Model).Columns
	declared := len(names) > 0
	if !declared {
		names = b.goal.references.Of(v).Columns()
	}
	columns, err := infer.NewColumns(model, names)
	if err == nil {
		return columns
	}
	if declared {
		b.log.Warn("the columns in the configuration do not fit", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
	}
	columns, _ = infer.NewColumns(model, nil)
	return columns
}

// columnProblems returns what is wrong with the columns that the configuration names, for
// the versions that answer callers. Names that fit some of a model's versions are right.
func (g *goal) columnProblems(live map[infer.Version]*registry.Leased) []string {
	newest := map[string]int64{}
	why := map[string]error{} // of the newest version; nil if the names fit any
	for v, leased := range live {
		if len(g.cfg.Model(v.Model).Columns) == 0 {
			continue
		}
		_, err := infer.NewColumns(leased.Model(), g.cfg.Model(v.Model).Columns)
		if known, seen := why[v.Model]; seen && (known == nil || err != nil && v.Number < newest[v.Model]) {
			continue
		}
		newest[v.Model], why[v.Model] = v.Number, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(why)) {
		if err := why[name]; err != nil {
			list = append(list, fmt.Sprintf("models.%s.columns: %s", name, infer.Message(err)))
		}
	}
	return list
}
