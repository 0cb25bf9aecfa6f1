package estimate

// classes returns the metrics of more than two classes. All curves have the same rows; their
// errors depend on each other in a way that histograms do not show, so the standard deviations of
// parts are added, which is never too small.
func (c *Classifier) classes(n, rates [][]float64) [][]part {
	top := len(c.tables) - 1
	accuracy := mean("accuracy", n[top], rates[top], func(int) (yes, no float64) { return 1, 0 })
	losses, squared, areas := make([]part, 0, top), make([]part, 0, top), make([]part, 0, top)
	logs, square := logLosses(c.o.Scores), squares(c.o.Scores)
	for k := range top {
		loss := mean("log_loss", n[k], rates[k], func(b int) (yes, no float64) { yes, _ = logs(b); return yes, 0 })
		losses = append(losses, part{loss, k})
		squared = append(squared, part{mean("brier", n[k], rates[k], square), k})
		if s, ok := area("auc", n[k], rates[k]); ok {
			areas = append(areas, part{s.times(1 / float64(top)), k})
		}
	}
	list := [][]part{{{accuracy, top}}, losses, squared}
	if len(areas) == top {
		list = append(list, areas)
	}
	return list
}

func (s statistic) times(x float64) statistic {
	s.value *= x
	for b := range s.grad {
		s.grad[b] *= x
		s.row[b] *= x
	}
	return s
}
