package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// columns returns the columns of a data frame for a version, with the names in the
// configuration, or those in the profile if there are none. It ignores names that do not fit
// the version.
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
		b.log.Warn("the columns in the configuration do not fit the model", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
	}
	columns, _ = infer.NewColumns(model, nil)
	return columns
}

// columnProblems returns the problems of the columns in the configuration with the versions
// that answer callers. There is no problem if they fit any version of the model.
func (g *goal) columnProblems(live map[infer.Version]*registry.Leased) []string {
	newest := map[string]int64{}
	why := map[string]error{} // of the newest version; nil if the names fit any version
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
